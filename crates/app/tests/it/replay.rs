//! Aggregates as they are and as they were, with and without snapshots.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_api::{
    AggregateView, BookmarkAddress, GetAggregate, GetBookmark, RebuildViews, SetBookmark,
};
use flexcore_eventsourcing::StreamName;
use flexcore_ports::{Snapshot, Snapshots, StoreError};
use serde_json::{Value, value::RawValue};

use crate::stage::{Life, Stage};

const PIPELINE: &str = "pipeline: moves\nsteps: [{ id: load, sync: { tap: { plugin: tap-csv }, target: { plugin: target-jsonl } } }]\n";

fn address() -> BookmarkAddress {
    BookmarkAddress {
        pipeline: "moves".into(),
        state: "load".into(),
        environment: "default".into(),
        item: None,
    }
}

/// Gives the one data stream `count` bookmarks, each an event.
async fn set_bookmarks(stage: &Stage, life: &Life, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let json = format!(r#"{{"bookmarks":{{"orders":{{"id":{n}}}}}}}"#);
        let set = SetBookmark { bookmark: address(), state: RawValue::from_string(json).unwrap() };
        life.commands.execute(&stage.context, set).await.unwrap();
    }
}

/// What the bookmark says.
async fn bookmark(stage: &Stage, life: &Life) -> u64 {
    let query = GetBookmark { bookmark: address() };
    let view = life.queries.ask(&stage.context, query).await.unwrap();
    id_in(view.state.unwrap().get())
}

fn id_in(json: &str) -> u64 {
    let json: Value = serde_json::from_str(json).unwrap();
    json["bookmarks"]["orders"]["id"].as_u64().unwrap()
}

fn folded_id(view: &AggregateView) -> u64 {
    let json: Value = serde_json::from_str(view.state.get()).unwrap();
    id_in(&json["bookmark"]["state"].to_string())
}

async fn stream_of(stage: &Stage) -> StreamName {
    let events = stage.events().await;
    let of_data_stream = |stream: &StreamName| stream.category() == "data-stream";
    events.into_iter().map(|event| event.stream).find(of_data_stream).unwrap()
}

async fn replay(
    stage: &Stage,
    life: &Life,
    stream: &StreamName,
    at: (Option<u64>, Option<String>),
) -> Result<AggregateView, String> {
    let (at_version, at_time) = at;
    let query = GetAggregate { stream: stream.to_string(), at_version, at_time };
    life.queries.ask(&stage.context, query).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_is_shown_as_it_was_at_a_version_and_at_a_time() {
    let stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    set_bookmarks(&stage, &life, 1..6).await;
    let stream = stream_of(&stage).await;
    let view = replay(&stage, &life, &stream, (None, None)).await.unwrap();
    assert_eq!((view.version, view.category.as_str()), (5, "data-stream"));
    assert_eq!(folded_id(&view), 5);
    for version in 1..=5 {
        let then = replay(&stage, &life, &stream, (Some(version), None)).await.unwrap();
        assert_eq!((then.version, folded_id(&then)), (version, version));
        // The time at which it was committed shows the same, or what the same commit added.
        let at_time = (None, Some(then.committed_at.clone()));
        let same = replay(&stage, &life, &stream, at_time).await.unwrap();
        assert!(same.version >= version && same.committed_at == then.committed_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_with_a_reason() {
    let stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    set_bookmarks(&stage, &life, 1..3).await;
    let stream = stream_of(&stage).await;
    let refused = |stream: &str, at| {
        let (stream, stage, life) = (stream.parse::<StreamName>().unwrap(), &stage, &life);
        async move { replay(stage, life, &stream, at).await.unwrap_err() }
    };
    let name = stream.as_str();
    assert_eq!(refused(name, (Some(3), None)).await, format!("there is no version `3 of {name}`"));
    let early = (None, Some("1999-01-01T00:00:00Z".to_owned()));
    assert_eq!(refused(name, early).await, format!("there is no stream `{name}`"));
    let wrong = (None, Some("yesterday".to_owned()));
    assert_eq!(refused(name, wrong).await, "`yesterday` is not an RFC 3339 time");
    let zero = refused(name, (Some(0), None)).await;
    assert_eq!(zero, "versions begin at 1: the first event of the stream");
    let kind = refused("default/fish/1", (None, None)).await;
    assert_eq!(kind, "there are no aggregates of category `fish`");
}

/// What becomes of a snapshot that is read.
type Damage = fn(Snapshot) -> Result<Option<Snapshot>, StoreError>;

/// Snapshots that note what was read, and can be told to lie.
struct ObservedSnapshots {
    inner: Arc<dyn Snapshots>,
    found: AtomicU64,
    damage: Option<Damage>,
}

#[async_trait]
impl Snapshots for ObservedSnapshots {
    async fn load(&self, stream: &StreamName) -> Result<Option<Snapshot>, StoreError> {
        let Some(snapshot) = self.inner.load(stream).await? else { return Ok(None) };
        self.found.store(snapshot.version, Ordering::SeqCst);
        match self.damage {
            Some(damage) => damage(snapshot),
            None => Ok(Some(snapshot)),
        }
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.save(snapshot).await
    }
}

impl ObservedSnapshots {
    fn of(stage: &Stage) -> Self {
        Self { inner: stage.stored_snapshots(), found: AtomicU64::new(0), damage: None }
    }
}

/// Waits until the stream has a snapshot of at least `version` events.
async fn snapshot_reaches(stage: &Stage, stream: &StreamName, version: u64) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(snapshot) = stage.stored_snapshots().load(stream).await.unwrap()
            && snapshot.version >= version
        {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "no snapshot of {version} events was made");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_folded_on_from_its_snapshot() {
    let mut stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    set_bookmarks(&stage, &life, 1..102).await;
    let stream = stream_of(&stage).await;
    let snapshot = snapshot_reaches(&stage, &stream, 100).await;
    // It is the state, and the events after it are folded on.
    let then = replay(&stage, &life, &stream, (Some(snapshot.version), None)).await.unwrap();
    assert_eq!(String::from_utf8(snapshot.payload).unwrap(), then.state.get());
    let observed = Arc::new(ObservedSnapshots::of(&stage));
    stage.snapshots = Some(observed.clone());
    let life = stage.life(i64::MAX);
    // A command loads what it decides about.
    set_bookmarks(&stage, &life, 102..103).await;
    assert_eq!(observed.found.load(Ordering::SeqCst), snapshot.version);
    assert_eq!(bookmark(&stage, &life).await, 102);
    // The next one is made when as many events came after this one.
    set_bookmarks(&stage, &life, 103..205).await;
    snapshot_reaches(&stage, &stream, 200).await;
    assert_eq!(bookmark(&stage, &life).await, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_lost_unreadable_or_wrong_changes_nothing() {
    let mut stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    set_bookmarks(&stage, &life, 1..102).await;
    let stream = stream_of(&stage).await;
    snapshot_reaches(&stage, &stream, 100).await;
    let damages: [Damage; 4] = [
        |_| Ok(None),
        |_| Err(StoreError::Unavailable("the disk is gone".into())),
        |snapshot| Ok(Some(Snapshot { payload: b"{".to_vec(), ..snapshot })),
        |snapshot| Ok(Some(Snapshot { schema_version: 999, ..snapshot })),
    ];
    for (damage, n) in damages.into_iter().zip(102..) {
        let observed = ObservedSnapshots { damage: Some(damage), ..ObservedSnapshots::of(&stage) };
        stage.snapshots = Some(Arc::new(observed));
        let life = stage.life(i64::MAX);
        set_bookmarks(&stage, &life, n..n + 1).await;
        assert_eq!(bookmark(&stage, &life).await, n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_built_anew_while_the_log_grows() {
    let stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let first = life.commands.execute(&stage.context, RebuildViews {});
    let (first, ()) = tokio::join!(first, set_bookmarks(&stage, &life, 1..40));
    assert!(first.unwrap().views.iter().all(|view| view.stopped_at.is_none()));
    // Nothing that came meanwhile is missing, and nothing is there twice.
    let end = stage.events().await.len() as u64;
    let again = life.commands.execute(&stage.context, RebuildViews {}).await.unwrap();
    assert!(again.views.iter().all(|view| view.position == end), "{again:?}");
    assert_eq!(bookmark(&stage, &life).await, 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_names_the_event_that_stops_a_view() {
    let stage = Stage::new(PIPELINE);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let position = stage.append_unreadable("default/execution/x", "StepStarted").await;
    life.services.catch_up().await.unwrap();
    let rebuilt = life.commands.execute(&stage.context, RebuildViews {}).await.unwrap();
    let (stopped, whole): (Vec<_>, Vec<_>) =
        rebuilt.views.into_iter().partition(|view| view.stopped_at.is_some());
    assert!(!stopped.is_empty() && !whole.is_empty());
    for view in stopped {
        assert_eq!(view.stopped_at, Some(position), "{view:?}");
        assert!(view.position < position && view.reason.is_some(), "{view:?}");
    }
    assert!(whole.iter().all(|view| view.position == position));
}
