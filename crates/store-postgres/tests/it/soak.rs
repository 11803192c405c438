//! Half a minute of everything at once: four writers, two subscribers, and somebody who ends their
//! connections at random.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flexcore_eventsourcing::{Append, Epoch, EventData, EventId, RecordedEvent, StreamName};
use flexcore_ports::{AppendError, EventStore, LogHead, LogVerifier, ReadFilter};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{event, payload, postgres::Server, stream};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// How long all of this goes on.
const TIME: Duration = Duration::from_secs(30);
const WRITERS: u64 = 4;
/// How many callers each of them has.
const CALLERS: u64 = 8;
/// Where everything that is random comes from.
const SEED: u64 = 11;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % limit
    }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

/// What a caller was told: where each of its events stands.
#[derive(Default)]
struct Acknowledged {
    positions: HashMap<EventId, u64>,
    repeated: u64,
    refused: u64,
}

/// Appends to a stream of its own, to some that all callers write, and to both at once, until the
/// time is over.
async fn call(store: Arc<dyn EventStore>, caller: u64, done: Arc<AtomicBool>) -> Acknowledged {
    let mut random = Random(SEED + caller);
    let mut told = Acknowledged::default();
    let mut versions: HashMap<StreamName, u64> = HashMap::new();
    let mut number = caller * 10_000_000;
    while !done.load(Ordering::Relaxed) {
        let own = stream(&format!("own-{caller}"));
        let shared = stream(&format!("shared-{}", random.below(6)));
        let streams = match random.below(4) {
            0 => vec![shared],
            1 => vec![own, shared],
            _ => vec![own],
        };
        let events: Vec<Vec<EventData>> = streams
            .iter()
            .map(|_| {
                let first = number;
                number += 1 + random.below(3);
                let length = usize::try_from(random.below(600)).unwrap();
                (first..number)
                    .map(|number| EventData { payload: payload(number, length), ..event(number) })
                    .collect()
            })
            .collect();
        insist(&*store, &streams, &events, &mut versions, &mut told).await;
    }
    told
}

/// Appends until it is accepted. Conflicts are all that it meets: the store itself finds out what came
/// of an append whose connection ended.
async fn insist(
    store: &dyn EventStore,
    streams: &[StreamName],
    events: &[Vec<EventData>],
    versions: &mut HashMap<StreamName, u64>,
    told: &mut Acknowledged,
) {
    loop {
        let writes = streams.iter().zip(events).map(|(stream, events)| {
            let version = versions.get(stream).copied().unwrap_or(0);
            let append = Append::to(stream.clone(), version, events.clone());
            if version.is_multiple_of(2) { append.fenced(Epoch(1)) } else { append }
        });
        match store.append(writes.fold(Append::default(), Append::and)).await {
            Ok(appended) => {
                let count = events.iter().map(Vec::len).sum::<usize>() as u64;
                let first = appended.last_position + 1 - count;
                let ids = events.iter().flatten().map(|event| event.id);
                told.positions.extend(ids.zip(first..));
                told.repeated += u64::from(appended.repeated);
                for (stream, events) in streams.iter().zip(events) {
                    *versions.entry(stream.clone()).or_default() += events.len() as u64;
                }
                return;
            }
            Err(AppendError::Conflict { stream, actual, .. }) => {
                told.refused += 1;
                versions.insert(stream, actual);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Follows the log until it has seen `goal`, which is set when all writers are done; gives all it
/// has seen, and some ends that the log had on the way.
async fn subscribe(
    store: Arc<dyn EventStore>,
    goal: Arc<AtomicU64>,
) -> (Vec<RecordedEvent>, Vec<LogHead>) {
    let (mut seen, mut heads) = (Vec::<RecordedEvent>::new(), Vec::<LogHead>::new());
    let mut appended = store.appended();
    while goal.load(Ordering::SeqCst) > seen.len() as u64 {
        let after = seen.len() as u64;
        // A connection that is ended is no news about the log.
        let Ok(page) = store.read_all(after, 500, &ReadFilter::default()).await else { continue };
        if page.is_empty() {
            let wait = appended.wait_for(|position| *position > after);
            let _ = tokio::time::timeout(Duration::from_secs(1), wait).await;
            if let Ok(head) = store.head().await {
                heads.push(head);
            }
        }
        for (event, position) in page.iter().zip(after + 1..) {
            assert_eq!(event.position, position, "a subscriber must not miss anything");
        }
        seen.extend(page);
    }
    (seen, heads)
}

/// Ends connections of the stores, one or a few at a time; says how many.
async fn kill(url: &str, done: Arc<AtomicBool>) -> u64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut random = Random(SEED);
    let mut killed = 0;
    while !done.load(Ordering::Relaxed) {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name LIKE 'flexcore%' \
                   ORDER BY md5(pid::text || $1::text) LIMIT $2) victims";
        let (salt, count) = (random.below(1 << 30).to_string(), 1 + random.below(3).cast_signed());
        killed += client.query_one(sql, &[&salt, &count]).await.unwrap().get::<_, i64>(0);
        // The next one at a random moment.
        tokio::time::sleep(Duration::from_millis(20 + random.below(150))).await;
    }
    killed.unsigned_abs()
}

/// Each stream without holes or inversions, time never backwards, no event twice.
fn assert_consistent(log: &[RecordedEvent]) {
    let (mut ids, mut versions) = (HashSet::new(), HashMap::<&StreamName, u64>::new());
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, position);
        assert!(ids.insert(event.event.id), "{} is there twice", event.event.id);
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "of {} at {position}", event.stream);
    }
    assert!(log.is_sorted_by_key(|event| event.committed_at));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_writers_and_two_subscribers_lose_nothing_to_ended_connections() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let (done, goal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(u64::MAX)));
    let mut writers = Vec::new();
    let mut callers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = open(&url).await;
        for caller in 0..CALLERS {
            callers.spawn(call(store.events(), writer * CALLERS + caller, Arc::clone(&done)));
        }
        writers.push(store);
    }
    let followers = [open(&url).await, open(&url).await];
    let subscribers = followers
        .each_ref()
        .map(|store| tokio::spawn(subscribe(store.events(), Arc::clone(&goal))));
    let reaper = {
        let (url, done) = (url.clone(), Arc::clone(&done));
        tokio::spawn(async move { kill(&url, done).await })
    };
    let begin = Instant::now();
    tokio::time::sleep(TIME).await;
    done.store(true, Ordering::SeqCst);
    let killed = reaper.await.unwrap();
    let told = callers.join_all().await;
    let head = writers[0].events().head().await.unwrap();
    goal.store(head.position, Ordering::SeqCst);

    let mut witnessed = vec![head];
    let mut logs = Vec::new();
    for subscriber in subscribers {
        let (log, heads) = subscriber.await.unwrap();
        witnessed.extend(heads);
        logs.push(log);
    }
    assert_consistent(&logs[0]);
    assert!(logs[0] == logs[1], "both subscribers saw the same");
    let report = writers[0].verifier().verify(&witnessed).await.unwrap();
    assert_eq!((report.fault, report.events), (None, head.position));

    let log = &logs[0];
    let mut acknowledged = 0;
    for (id, position) in told.iter().flat_map(|told| &told.positions) {
        let found = &log[usize::try_from(position - 1).unwrap()];
        assert_eq!(found.event.id, *id, "position {position} was acknowledged");
        acknowledged += 1;
    }
    assert_eq!(acknowledged, log.len(), "nothing but what was acknowledged is there");
    let sum = |what: fn(&Acknowledged) -> u64| told.iter().map(what).sum::<u64>();
    println!(
        "{} events in {} batches within {:?}; {killed} connections ended, {} appends found \
         repeated, {} refused; {} ends witnessed",
        log.len(),
        head.batch,
        begin.elapsed(),
        sum(|told| told.repeated),
        sum(|told| told.refused),
        witnessed.len(),
    );
    assert!(killed > 50 && log.len() > 1_000, "{killed} killed, {} events", log.len());
}
