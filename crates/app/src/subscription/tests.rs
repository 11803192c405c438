use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_eventsourcing::{Append, EventContext, EventData, EventId, RecordedEvent, StreamName};
use flexcore_ports::{AppendError, Appended, Clock, LogHead, ReadFilter};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;

/// A clock that tests set.
#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A log that does what the test says.
struct Log {
    store: SqliteStore,
    clock: Arc<SetClock>,
    /// What the log is read from; another one, once it was replaced.
    read_from: Mutex<Arc<dyn EventStore>>,
    /// A position that reads leave out.
    hidden: AtomicU64,
    is_away: AtomicBool,
    /// How often somebody asked while it was away.
    refusals: AtomicU64,
    _folder: TempDir,
}

impl Log {
    fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::default());
        let mode = OpenMode::Writer { purpose: "test".to_owned() };
        let store = SqliteStore::open(folder.path(), mode, clock.clone()).unwrap();
        let read_from: Arc<dyn EventStore> = store.events();
        Arc::new(Self {
            store,
            clock,
            read_from: Mutex::new(read_from),
            hidden: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            refusals: AtomicU64::new(0),
            _folder: folder,
        })
    }

    /// Adds a batch of events at a time.
    async fn add(&self, count: u64, at: i64) -> u64 {
        self.clock.0.store(at, Ordering::SeqCst);
        let end = self.store.events().head().await.unwrap().position;
        let event = |n: u64| EventData {
            id: EventId(Uuid::from_u128(u128::from(end + n + 1))),
            type_name: "Noted".into(),
            schema_version: 1,
            occurred_at: Timestamp::EPOCH,
            context: EventContext::json("default", "tester"),
            payload: b"{}".to_vec(),
        };
        let stream = StreamName::new("default", "note", [format!("{end}").as_str()]).unwrap();
        let append = Append::to(stream, 0, (0..count).map(event).collect());
        self.store.events().append(append).await.unwrap().last_position
    }

    fn reads(&self) -> Result<Arc<dyn EventStore>, StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            self.refusals.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("it is away".to_owned()));
        }
        Ok(Arc::clone(&self.read_from.lock().unwrap()))
    }

    /// From now on it is another log that is read.
    fn replace_by(&self, other: &Self) {
        *self.read_from.lock().unwrap() = other.store.events();
    }

    /// Cannot be read from now on; returns once the tailer has met that.
    async fn go_away_and_be_missed(&self) {
        self.is_away.store(true, Ordering::SeqCst);
        self.add(1, 100).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.refusals.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "the tailer does not read");
            tokio::task::yield_now().await;
        }
    }

    async fn checkpoint(&self) -> Checkpoint {
        let LogHead { position, hash, .. } = self.store.events().head().await.unwrap();
        Checkpoint { position, hash }
    }
}

#[async_trait]
impl EventStore for Log {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.events().append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.reads()?.read_stream(stream, from_version, limit).await
    }

    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = self.reads()?.read_all(after, limit, filter).await?;
        events.retain(|event| event.position != self.hidden.load(Ordering::SeqCst));
        Ok(events)
    }

    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.reads()?.position_at(time).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.reads()?.head().await
    }

    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.reads()?.batch_hash_at(position).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.store.events().appended()
    }
}

type Outcome = Result<(), SubscriptionError>;

/// A tailer that runs, with queues of `queue` pages.
async fn tail(
    log: &Arc<Log>,
    queue: usize,
) -> (LogSubscriptions, CancellationToken, JoinHandle<Outcome>) {
    let store: Arc<dyn EventStore> = log.clone();
    let options = TailerOptions {
        queue,
        retry: Duration::from_millis(1),
        poll: None,
        gather: Duration::ZERO,
    };
    let (tailer, subscriptions) = Tailer::new(store, options).await.unwrap();
    let end = CancellationToken::new();
    let task = tokio::spawn(tailer.run(end.clone()));
    (subscriptions, end, task)
}

/// Reads up to `position` and shows that nothing was left out.
async fn read_to(subscription: &mut Subscription, position: u64) {
    while subscription.checkpoint().position < position {
        let before = subscription.checkpoint().position;
        let page = subscription.next().await.unwrap().unwrap();
        let positions: Vec<u64> = page.events().iter().map(|event| event.position).collect();
        let expected: Vec<u64> = (before + 1..=page.end().position).collect();
        assert_eq!(positions, expected);
    }
    assert_eq!(subscription.checkpoint().position, position);
}

/// Lets a subscription take its place at the tailer; it has nothing to read.
async fn settle(subscription: &mut Subscription) {
    tokio::select! {
        biased;
        page = subscription.next() => panic!("there is nothing to read, but {page:?} came"),
        () = tokio::task::yield_now() => {}
    }
}

#[tokio::test]
async fn every_start_begins_where_it_says() {
    let log = Log::new();
    log.add(3, 10).await;
    let second = log.checkpoint().await;
    log.add(2, 20).await;
    let (subscriptions, ..) = tail(&log, 4).await;
    let after_time = |micros| Start::AfterTime(Timestamp::from_micros(micros));
    for (start, first) in [
        (Start::Beginning, 1),
        (Start::After(second), 4),
        (after_time(9), 1),
        (after_time(10), 4),
        (after_time(19), 4),
        (after_time(20), 6),
        (Start::Now, 6),
    ] {
        let mut subscription = subscriptions.subscribe(start).await.unwrap();
        assert_eq!(subscription.checkpoint().position, first - 1, "{start:?}");
        read_to(&mut subscription, 5).await;
        assert_eq!(subscription.checkpoint(), log.checkpoint().await);
    }
    let mut subscription = subscriptions.subscribe(Start::Now).await.unwrap();
    log.add(1, 30).await;
    read_to(&mut subscription, 6).await;
}

#[tokio::test]
async fn pages_end_where_batches_end_and_many_share_one() {
    let log = Log::new();
    let (subscriptions, ..) = tail(&log, 8).await;
    let mut one = subscriptions.subscribe(Start::Beginning).await.unwrap();
    let mut two = subscriptions.subscribe(Start::Beginning).await.unwrap();
    settle(&mut one).await;
    settle(&mut two).await;
    log.add(5, 1).await;
    let (first, second) = (one.next().await.unwrap().unwrap(), two.next().await.unwrap().unwrap());
    assert_eq!(first.events().len(), 5);
    assert!(std::ptr::eq(first.events(), second.events()), "the page is shared, not copied");
    // Longer than one read: cut at a batch, never inside of one.
    for at in 2..20 {
        log.add(300, at).await;
    }
    let mut late = subscriptions.subscribe(Start::Beginning).await.unwrap();
    while let Some(page) = late.next().await.unwrap() {
        assert!(log.batch_hash_at(page.end().position).await.unwrap() == Some(page.end().hash));
        if page.end().position == 5_405 {
            break;
        }
    }
    read_to(&mut one, 5_405).await;
}

#[tokio::test]
async fn one_batch_that_is_longer_than_a_read_stays_whole() {
    let log = Log::new();
    // The same time of commit everywhere: only the batches' own ends tell them apart.
    for _ in 0..9 {
        log.add(700, 1).await;
    }
    let page = read_page(&*log, 0).await.unwrap().unwrap();
    assert_eq!(page.end().position % 700, 0);
    let mut end = 0;
    while let Some(page) = read_page(&*log, end).await.unwrap() {
        assert_eq!(page.events()[0].position, end + 1);
        end = page.end().position;
    }
    assert_eq!(end, 6_300);
}

#[tokio::test]
async fn a_slow_subscription_is_not_waited_for_and_misses_nothing() {
    let log = Log::new();
    let (subscriptions, ..) = tail(&log, 1).await;
    let mut slow = subscriptions.subscribe(Start::Beginning).await.unwrap();
    let mut quick = subscriptions.subscribe(Start::Beginning).await.unwrap();
    settle(&mut slow).await;
    for batch in 1..=20 {
        let position = log.add(3, batch).await;
        // The tailer goes on although nobody takes pages out of the slow one's queue.
        read_to(&mut quick, position).await;
    }
    read_to(&mut slow, 60).await;
    // It has its place again: what comes now is the tailer's page.
    settle(&mut slow).await;
    settle(&mut quick).await;
    log.add(2, 30).await;
    let (one, two) = (slow.next().await.unwrap().unwrap(), quick.next().await.unwrap().unwrap());
    assert!(std::ptr::eq(one.events(), two.events()));
}

#[tokio::test]
async fn a_hole_stops_everybody_at_the_position_before_it() {
    let log = Log::new();
    let (subscriptions, _, task) = tail(&log, 4).await;
    let mut subscription = subscriptions.subscribe(Start::Beginning).await.unwrap();
    log.add(3, 1).await;
    read_to(&mut subscription, 3).await;
    log.hidden.store(5, Ordering::SeqCst);
    log.add(4, 2).await;
    let expected = "the log has no event at position 5; the next one is at 6";
    assert_eq!(task.await.unwrap().unwrap_err().to_string(), expected);
    assert_eq!(subscription.next().await.unwrap_err().to_string(), expected);
    // Nobody gets past it from the beginning either.
    let mut other = subscriptions.subscribe(Start::Beginning).await.unwrap();
    assert_eq!(other.next().await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn an_end_that_was_told_of_and_is_not_there_is_a_hole() {
    let log = Log::new();
    let (_, _, task) = tail(&log, 4).await;
    log.hidden.store(1, Ordering::SeqCst);
    log.add(1, 1).await;
    let error = task.await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "the log has no event at position 1 although it goes on");
}

#[tokio::test]
async fn a_forked_or_shorter_log_is_refused_at_the_start() {
    let log = Log::new();
    log.add(3, 1).await;
    let (subscriptions, ..) = tail(&log, 4).await;
    let ours = log.checkpoint().await;
    let forked = Checkpoint { hash: Hash([9; 32]), ..ours };
    let refused = subscriptions.subscribe(Start::After(forked)).await.unwrap_err().to_string();
    assert!(refused.contains("position 3, but the log has another history there"), "{refused}");
    let longer = Checkpoint { position: 4, ..ours };
    let refused = subscriptions.subscribe(Start::After(longer)).await.unwrap_err().to_string();
    assert!(refused.contains("position 4, but the log ends before it"), "{refused}");
    let inside = Checkpoint { position: 2, ..ours };
    subscriptions.subscribe(Start::After(inside)).await.unwrap_err();
}

#[tokio::test]
async fn a_log_that_is_another_one_after_a_reconnect_is_refused() {
    let (log, other) = (Log::new(), Log::new());
    log.add(3, 1).await;
    other.add(5, 2).await;
    let (subscriptions, _, task) = tail(&log, 4).await;
    let mut subscription = subscriptions.subscribe(Start::Now).await.unwrap();
    settle(&mut subscription).await;
    log.go_away_and_be_missed().await;
    log.replace_by(&other);
    log.is_away.store(false, Ordering::SeqCst);
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error, SubscriptionError::Forked { position: 3, .. }), "{error}");
    let error = subscription.next().await.unwrap_err();
    assert!(matches!(error, SubscriptionError::Forked { position: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_store_that_comes_back_is_followed_on() {
    let log = Log::new();
    let (subscriptions, _, task) = tail(&log, 4).await;
    let mut subscription = subscriptions.subscribe(Start::Beginning).await.unwrap();
    settle(&mut subscription).await;
    log.go_away_and_be_missed().await;
    log.is_away.store(false, Ordering::SeqCst);
    read_to(&mut subscription, 1).await;
    // A subscription that reads by itself tells its caller, and goes on when it is asked again.
    let mut behind = subscriptions.subscribe(Start::Beginning).await.unwrap();
    log.is_away.store(true, Ordering::SeqCst);
    assert!(matches!(behind.next().await, Err(SubscriptionError::Store(_))));
    log.is_away.store(false, Ordering::SeqCst);
    read_to(&mut behind, 1).await;
    assert!(!task.is_finished());
}

#[tokio::test]
async fn the_end_of_the_tailer_ends_every_subscription_after_its_last_page() {
    let log = Log::new();
    let (subscriptions, end, task) = tail(&log, 4).await;
    let mut subscription = subscriptions.subscribe(Start::Beginning).await.unwrap();
    let mut behind = subscriptions.subscribe(Start::Beginning).await.unwrap();
    settle(&mut subscription).await;
    log.add(2, 1).await;
    read_to(&mut subscription, 2).await;
    end.cancel();
    task.await.unwrap().unwrap();
    assert!(subscription.next().await.unwrap().is_none());
    read_to(&mut behind, 2).await;
    assert!(behind.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_tailer_that_is_dropped_leaves_nobody_waiting() {
    let log = Log::new();
    let (subscriptions, _, task) = tail(&log, 4).await;
    let mut subscription = subscriptions.subscribe(Start::Now).await.unwrap();
    settle(&mut subscription).await;
    task.abort();
    assert!(subscription.next().await.unwrap().is_none());
}
