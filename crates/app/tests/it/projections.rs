//! Views follow the log: each on its own, whoever folds, however the log is cut into pages.

mod history;

use std::{collections::BTreeMap, sync::Arc};

use flexcore_api::{
    GetDataStream, GetPipelineStatus, GetPlugin, GetSystemMetrics, GetViews, ListActivePlugins,
    ListDataStreams, ListExecutions, ListPipelines,
};
use flexcore_app::{ProjectionError, Projector};
use flexcore_domain::{
    ErrorClass, ExecutionStatus, FailureReason, StepCounts,
    data_stream::{DataStreamEvent, SyncPlugins},
    execution::{ExecutionEvent, StepError},
    pipeline::PipelineEvent,
};
use flexcore_eventsourcing::{Append, Epoch, EventData, StreamName, Timestamp};
use flexcore_ports::{
    DataStreamFilter, EventStore, ExecutionFilter, Expiring, MetricFilter, PipelineFilter,
    PluginFilter, RebuildViews, ViewStore,
};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use flexcore_testkit::{ManualClock, postgres::Server};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::stage::Stage;
use history::{History, event_of, execution_id, pipeline_id, step};

const SYNC: &str = r"
pipeline: orders
steps:
  - id: load
    sync:
      tap: { plugin: tap-csv, config: { files: [{ path: x.csv }] } }
      target: { plugin: target-jsonl, config: { path: out } }
  - { id: after, needs: [load], command: { argv: [complete] } }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_seen_in_every_view() {
    let stage = Stage::new(SYNC);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    let (queries, context) = (&life.queries, &stage.context);

    let plugins = queries.ask(context, ListActivePlugins::default()).await.unwrap().items;
    let seen: Vec<_> = plugins
        .iter()
        .map(|plugin| (&*plugin.name, &*plugin.role, plugin.pipelines, plugin.attempts))
        .collect();
    assert_eq!(seen, [("tap-csv", "tap", 1, 1), ("target-jsonl", "target", 1, 1)]);
    let get = GetPlugin { name: "tap-csv".into(), role: None };
    assert_eq!(queries.ask(context, get).await.unwrap(), plugins[0]);
    let get = GetPlugin { name: "tap-none".into(), role: None };
    assert_eq!(queries.ask(context, get).await.unwrap_err().code(), "FC0201");

    let list = ListDataStreams { pipeline: Some("orders".into()), ..ListDataStreams::default() };
    let streams = queries.ask(context, list).await.unwrap().items;
    let get = GetDataStream {
        pipeline: "orders".into(),
        state: "load".into(),
        environment: "default".into(),
        item: None,
    };
    let stream = queries.ask(context, get).await.unwrap();
    assert_eq!(streams, std::slice::from_ref(&stream));
    let bookmark = stream.bookmark.unwrap();
    assert_eq!((bookmark.streams, bookmark.positions), (vec!["orders".to_owned()], 1));
    let sync = stream.last_sync.unwrap();
    assert_eq!((&*sync.outcome, sync.records, sync.bytes), ("completed", 2, 20));
    assert_eq!((stream.syncs, stream.holder), (1, None));

    let status = GetPipelineStatus { name: "orders".into() };
    let status = queries.ask(context, status).await.unwrap();
    assert_eq!(status.executions["completed"], 1);
    assert_eq!(status.last_execution.unwrap().id, execution.to_string());

    let metrics = queries.ask(context, GetSystemMetrics::default()).await.unwrap().items;
    let value = |name: &str, labels: &[(&str, &str)]| {
        let labels: BTreeMap<_, _> = labels
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect();
        let found = metrics.iter().find(|metric| metric.name == name && metric.labels == labels);
        found.map_or(0, |metric| metric.value)
    };
    assert_eq!(value("executions", &[("status", "completed")]), 1);
    assert_eq!(value("executions", &[("status", "running")]), 0);
    assert_eq!(value("attempts", &[("kind", "sync"), ("outcome", "started")]), 1);
    assert_eq!(value("attempts", &[("kind", "command"), ("outcome", "completed")]), 1);
    assert_eq!(value("records_moved", &[]), 2);
    assert_eq!(value("bytes_moved_by_day", &[("day", "2026-01-01")]), 20);
    let views = queries.ask(context, GetViews {}).await.unwrap();
    assert_eq!(value("events_folded", &[]), i64::try_from(views.head).unwrap());
    assert_eq!(views.items.len(), 5);
    assert!(views.items.iter().all(|view| view.lag == 0 && view.stopped.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_step_did_is_not_counted_for_plugins() {
    let yaml = SYNC.replace("[complete]", "[fail]");
    let stage = Stage::new(&yaml);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Failed);
    let query = GetSystemMetrics { names: vec!["executions".into()], ..Default::default() };
    let metrics = life.queries.ask(&stage.context, query).await.unwrap().items;
    let failed = metrics.iter().find(|metric| metric.labels["status"] == "failed").unwrap();
    assert_eq!(failed.value, 1);
    let plugins = life.queries.ask(&stage.context, ListActivePlugins::default()).await.unwrap();
    assert!(plugins.items.iter().all(|plugin| plugin.failures == 0), "the other step failed");
}

/// A log with its views.
struct Log {
    _keep: Box<dyn std::any::Any>,
    events: Arc<dyn EventStore>,
    views: Arc<dyn ViewStore>,
    rebuild: Arc<dyn RebuildViews>,
}

impl Log {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = OpenMode::Writer { purpose: "a test".into() };
        let clock = Arc::new(ManualClock::default());
        let store = SqliteStore::open(folder.path(), mode, clock).unwrap();
        let (events, views) = (store.events(), store.views());
        let rebuild = Arc::new(store.views_rebuilder());
        let keep: (SqliteStore, TempDir) = (store, folder);
        Self { _keep: Box::new(keep), events, views, rebuild }
    }

    async fn postgres() -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.database().await.unwrap();
        let store = PostgresStore::open(PostgresOptions::new(&url, Role::Writer)).await.unwrap();
        let (events, views) = (store.events(), store.views());
        let rebuild = Arc::new(store.rebuild_views());
        Self { _keep: Box::new((store, server)), events, views, rebuild }
    }

    fn projector(&self) -> Projector {
        Projector::new(Arc::clone(&self.events), Arc::clone(&self.views))
    }

    async fn append(&self, append: Append) {
        self.events.append(append).await.unwrap();
    }

    /// An event that no program can read, on the stream of an execution.
    async fn poison(&self, type_name: &str) {
        let event = EventData { type_name: type_name.into(), ..event_of(9_999, &b"{"[..]) };
        let id = format!("ex_{}", "0".repeat(31) + "9");
        let stream = StreamName::new("default", "execution", [&*id]).unwrap();
        self.append(Append::to(stream, 0, vec![event])).await;
    }

    /// Every row of every view, as text.
    async fn rows(&self) -> Vec<String> {
        rows_of(&*self.views).await
    }

    async fn positions(&self) -> BTreeMap<String, (u64, Option<u64>)> {
        let statuses = self.projector().statuses().await.unwrap().into_iter();
        let position = |status: flexcore_ports::ProjectionStatus| {
            let position = status.checkpoint.map_or(0, |checkpoint| checkpoint.position);
            (status.name, (position, status.stopped.map(|stopped| stopped.position)))
        };
        statuses.map(position).collect()
    }
}

async fn rows_of(views: &dyn ViewStore) -> Vec<String> {
    let mut rows = Vec::new();
    let all = views.list_pipelines(&PipelineFilter::of("default"), 1_000, None).await.unwrap();
    rows.extend(all.items.iter().map(|row| format!("{row:?}")));
    let all = views.list_executions(&ExecutionFilter::of("default"), 1_000, None).await.unwrap();
    rows.extend(all.items.iter().map(|row| format!("{row:?}")));
    let all = views.list_plugins(&PluginFilter::of("default"), 1_000, None).await.unwrap();
    rows.extend(all.items.iter().map(|row| format!("{row:?}")));
    let all = views.list_data_streams(&DataStreamFilter::of("default"), 1_000, None).await.unwrap();
    rows.extend(all.items.iter().map(|row| format!("{row:?}")));
    let all = views.list_metrics(&MetricFilter::default(), 1_000, None).await.unwrap();
    rows.extend(all.items.iter().map(|row| format!("{row:?}")));
    rows
}

#[tokio::test]
async fn a_poisoned_event_stops_only_the_projections_that_read_it() {
    let log = Log::sqlite();
    let mut history = History::default();
    for append in history.appends(&[7; 40]) {
        log.append(append).await;
    }
    let good = log.events.head().await.unwrap().position;
    log.poison("StepCompleted").await;
    for append in history.appends(&[3; 20]) {
        log.append(append).await;
    }
    let head = log.events.head().await.unwrap().position;
    log.projector().catch_up().await.unwrap();
    let positions = log.positions().await;
    for (view, (position, stopped)) in &positions {
        let expected = match view.as_str() {
            "system-metrics" => (good, Some(good + 1)),
            _ => (head, None),
        };
        assert_eq!((*position, *stopped), expected, "{view}");
    }
    // Another life tries it once more, and comes to the same.
    log.projector().catch_up().await.unwrap();
    assert_eq!(log.positions().await, positions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_stopped_is_refused_and_the_others_answer() {
    let stage = Stage::new(SYNC);
    let life = stage.life(i64::MAX);
    stage.order(&life).await;
    let event = EventData { type_name: "StepCompleted".into(), ..event_of(9_999, &b"{"[..]) };
    let stream = StreamName::new("default", "execution", ["ex_no-id"]).unwrap();
    life.services.ports().store.append(Append::to(stream, 0, vec![event])).await.unwrap();
    let (queries, context) = (&life.queries, &stage.context);
    let refused = queries.ask(context, GetSystemMetrics::default()).await.unwrap_err();
    assert!(refused.to_string().starts_with("the view system-metrics stopped at"), "{refused}");
    assert_eq!(queries.ask(context, ListExecutions::default()).await.unwrap().items.len(), 1);
    assert_eq!(queries.ask(context, ListPipelines::default()).await.unwrap().items.len(), 1);
    let views = queries.ask(context, GetViews {}).await.unwrap();
    let stopped: Vec<_> = views.items.iter().filter(|view| view.stopped.is_some()).collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].lag, 1);
}

#[tokio::test]
async fn an_event_about_what_never_was_stops_a_projection_too() {
    let log = Log::sqlite();
    let mut history = History::default();
    for append in history.appends(&[7; 10]) {
        log.append(append).await;
    }
    let good = log.events.head().await.unwrap().position;
    let payload = br#"{"step":"a","error":"no"}"#;
    let event =
        EventData { type_name: "PipelineExecutionFailed".into(), ..event_of(9_999, payload) };
    let id = format!("ex_{}", "0".repeat(31) + "9");
    let stream = StreamName::new("default", "execution", [&*id]).unwrap();
    log.append(Append::to(stream, 0, vec![event])).await;
    log.projector().catch_up().await.unwrap();
    let positions = log.positions().await;
    assert_eq!(positions["pipeline-status"], (good + 1, None));
    assert_eq!(positions["execution-history"], (good, Some(good + 1)));
}

async fn two_at_once_come_to_the_rows_of_one(log: Log) {
    let mut history = History::default();
    let (one, two) = (log.projector(), log.projector());
    for round in 0..8_u8 {
        for append in history.appends(&[round; 30]) {
            log.append(append).await;
        }
        let (first, second) = tokio::join!(one.catch_up(), two.catch_up());
        first.unwrap();
        second.unwrap();
    }
    let raced = log.rows().await;
    let rebuild = log.rebuild.begin().await.unwrap();
    Projector::new(Arc::clone(&log.events), rebuild.views()).catch_up().await.unwrap();
    assert_eq!(raced, rows_of(&*rebuild.views()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projectors_on_sqlite_come_to_the_rows_of_one() {
    two_at_once_come_to_the_rows_of_one(Log::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projectors_on_postgres_come_to_the_rows_of_one() {
    two_at_once_come_to_the_rows_of_one(Log::postgres().await).await;
}

#[tokio::test]
async fn a_projector_whose_epoch_passed_is_refused() {
    let log = Log::sqlite();
    let mut history = History::default();
    for append in history.appends(&[1; 5]) {
        log.append(append).await;
    }
    log.projector().with_epoch(Epoch(2)).catch_up().await.unwrap();
    for append in history.appends(&[1; 5]) {
        log.append(append).await;
    }
    let late = log.projector().with_epoch(Epoch(1)).catch_up().await;
    assert!(matches!(late, Err(ProjectionError::Fenced(_))), "{late:?}");
    log.projector().with_epoch(Epoch(3)).catch_up().await.unwrap();
}

#[tokio::test]
async fn a_log_with_another_history_is_refused() {
    let (log, other) = (Log::sqlite(), Log::sqlite());
    for append in History::default().appends(&[1; 20]) {
        log.append(append).await;
    }
    log.projector().catch_up().await.unwrap();
    let before = log.rows().await;
    let follow = Projector::new(Arc::clone(&other.events), Arc::clone(&log.views));
    let shorter = follow.catch_up().await.unwrap_err().to_string();
    assert!(shorter.contains("the log ends before it"), "{shorter}");
    for append in History::default().appends(&[2; 60]) {
        other.append(append).await;
    }
    let forked = follow.catch_up().await.unwrap_err().to_string();
    assert!(forked.contains("another history") || forked.contains("no batch"), "{forked}");
    assert_eq!(log.rows().await, before);
}

async fn a_rebuild_beside_appends_ends_with_the_rows_of_the_live_views(log: Log) {
    let mut history = History::default();
    for append in history.appends(&[5; 100]) {
        log.append(append).await;
    }
    let live = log.projector();
    live.catch_up().await.unwrap();
    let rebuild = log.rebuild.begin().await.unwrap();
    let fresh = Projector::new(Arc::clone(&log.events), rebuild.views());
    let later = history.appends(&[6; 60]);
    let appending = async {
        for append in later {
            log.append(append).await;
            live.catch_up().await.unwrap();
        }
    };
    let (caught_up, ()) = tokio::join!(fresh.catch_up(), appending);
    caught_up.unwrap();
    let before = log.rows().await;
    rebuild.publish().await.unwrap();
    live.catch_up().await.unwrap();
    assert_eq!(log.rows().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_on_sqlite_ends_with_the_rows_of_the_live_views() {
    a_rebuild_beside_appends_ends_with_the_rows_of_the_live_views(Log::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_on_postgres_ends_with_the_rows_of_the_live_views() {
    a_rebuild_beside_appends_ends_with_the_rows_of_the_live_views(Log::postgres().await).await;
}

/// An attempt of the sync of execution 0 fails for this reason.
fn failed(attempt: u32, reason: FailureReason) -> ExecutionEvent {
    let message = "it said no\nand more".to_owned();
    let error = StepError { reason, message, exit_code: None, stderr_tail: vec![] };
    ExecutionEvent::StepFailed { step: step("load"), attempt, error, retryable: true }
}

fn started(attempt: u32) -> ExecutionEvent {
    ExecutionEvent::StepStarted { step: step("load"), attempt, deadline: None }
}

#[tokio::test]
async fn what_syncs_come_to_is_counted() {
    let log = Log::sqlite();
    let mut history = History::default();
    let execution = execution_id(0);
    let plugins = SyncPlugins { tap: "tap-csv".into(), target: "shop (python3)".into() };
    let begin = DataStreamEvent::SyncStarted { execution, plugins };
    let counts = StepCounts { records: 5, bytes: 50 };
    let record = DataStreamEvent::SyncRecorded { execution, counts };
    let at = history.now();
    let appends = [
        history.create(),
        history.order(0),
        history.execution(0, &[ExecutionEvent::Started { at, deadline: None }, started(1)]),
        history.data_stream(0, &begin),
        history.execution(0, &[failed(1, FailureReason::Attempt(ErrorClass::ExitCode))]),
        // The same plugins hold the sync still: no event says again which they are.
        history.execution(0, &[started(2), failed(2, FailureReason::NodeLost), started(3)]),
    ];
    for append in appends {
        log.append(append).await;
        log.projector().catch_up().await.unwrap();
    }
    let plugins = async || {
        log.views.list_plugins(&PluginFilter::of("default"), 10, None).await.unwrap().items
    };
    let row =
        async |name: &str| plugins().await.into_iter().find(|row| row.key.name == name).unwrap();
    let tap = row("tap-csv").await;
    assert_eq!((tap.pipelines, tap.attempts, tap.failures), (1, 3, 1));
    assert_eq!(tap.last_error.as_deref(), Some("it said no"));
    let used = row("shop (python3)").await;
    assert_eq!((used.pipelines, used.attempts, used.failures), (0, 3, 1));
    let named = row("target-jsonl").await;
    assert_eq!((named.pipelines, named.attempts), (1, 0), "an environment may put another there");
    let stream = async || {
        let all = log.views.list_data_streams(&DataStreamFilter::of("default"), 10, None).await;
        all.unwrap().items.remove(0)
    };
    let before = stream().await;
    assert_eq!((&*before.pipeline.to_string(), &*before.state), ("pipeline-0", "loaded"));
    assert_eq!(before.holder, Some(execution));
    assert_eq!(before.last_sync.unwrap().outcome, "failed");
    let archived = PipelineEvent::Archived;
    for append in [
        history.data_stream(0, &record),
        history.execution(0, &[ExecutionEvent::Completed]),
        history.append("pipeline", &[&pipeline_id(0).to_string()], &[archived]),
    ] {
        log.append(append).await;
    }
    log.projector().catch_up().await.unwrap();
    let after = stream().await;
    assert_eq!((after.holder, after.syncs, after.records, after.bytes), (None, 1, 5, 50));
    assert_eq!(after.last_sync.unwrap().outcome, "completed");
    assert!(plugins().await.iter().all(|row| row.pipelines == 0));
}

#[tokio::test]
async fn an_execution_that_was_removed_for_its_age_may_be_run_again() {
    let log = Log::sqlite();
    let mut history = History::default();
    let at = history.now();
    let error = "no".to_owned();
    let ended = ExecutionEvent::Failed { step: step("load"), error };
    for append in [
        history.create(),
        history.order(0),
        history.execution(0, &[ExecutionEvent::Started { at, deadline: None }, ended]),
    ] {
        log.append(append).await;
    }
    log.projector().catch_up().await.unwrap();
    let now = Timestamp::from_micros(at.as_micros() + 1_000_000_000_000);
    assert_eq!(
        log.views.remove_executions_before(now, &Expiring::AllBut(vec![])).await.unwrap(),
        1
    );
    let again = ExecutionEvent::Retried { steps: vec![step("load")] };
    log.append(history.execution(0, &[again])).await;
    log.projector().catch_up().await.unwrap();
    let head = log.events.head().await.unwrap().position;
    let positions = log.positions().await;
    assert!(positions.values().all(|at| *at == (head, None)), "{positions:?}");
}

/// Folds a history in two ways: cut as `cuts` says, and in one go.
async fn rows_in_pieces_and_at_once(log: Log, seeds: &[u8], cuts: &[bool]) -> Vec<String> {
    let projector = log.projector();
    let appends = History::default().appends(seeds);
    for (append, cut) in appends.into_iter().zip(cuts.iter().cycle()) {
        log.append(append).await;
        if *cut {
            projector.catch_up().await.unwrap();
        }
    }
    projector.catch_up().await.unwrap();
    let head = log.events.head().await.unwrap().position;
    let positions = log.positions().await;
    assert!(positions.values().all(|at| *at == (head, None)), "{positions:?}");
    let rebuild = log.rebuild.begin().await.unwrap();
    Projector::new(Arc::clone(&log.events), rebuild.views()).catch_up().await.unwrap();
    let rows = log.rows().await;
    assert_eq!(rows, rows_of(&*rebuild.views()).await);
    rows
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pages_of_any_size_come_to_the_same_rows(
        seeds in prop::collection::vec(any::<u8>(), 1..120),
        cuts in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        run(rows_in_pieces_and_at_once(Log::sqlite(), &seeds, &cuts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_come_to_the_same_rows(
        seeds in prop::collection::vec(any::<u8>(), 1..120),
        cuts in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let sqlite = run(rows_in_pieces_and_at_once(Log::sqlite(), &seeds, &cuts));
        let postgres = run(async {
            rows_in_pieces_and_at_once(Log::postgres().await, &seeds, &cuts).await
        });
        prop_assert_eq!(sqlite, postgres);
    }
}
