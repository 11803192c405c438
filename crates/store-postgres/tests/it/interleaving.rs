//! Scripted interleavings: an append is held in the middle of its transaction while others go on.
//!
//! Each safety line of the append functions is also taken out, in a database of its own, to see that
//! the script notices.

use std::{sync::Arc, time::Duration};

use flexcore_eventsourcing::{Append, Epoch};
use flexcore_ports::{
    AppendError, Appended, EventStore, LogVerifier, ReadFilter, StoreError, VerifyFault,
};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{
    event,
    postgres::{Server, SharedServer},
    stream,
};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

/// A line of the append functions that something rests on: in each function, what to put in place
/// of which text.
type Line = &'static [(&'static str, &'static str, &'static str)];

const LOCK: &str = "PERFORM pg_advisory_xact_lock(7021434);";
/// Appends of all processes one after the other.
const NO_LOCK: Line = &[("append_batch", LOCK, ""), ("append_one", LOCK, "")];
/// The end of the log is read with the lock in hand.
const LATE_LOCK: Line = &[
    ("append_batch", LOCK, ""),
    (
        "append_batch",
        "refused := '{}';",
        "PERFORM pg_advisory_xact_lock(7021434); refused := '{}';",
    ),
    ("append_one", LOCK, ""),
    ("append_one", "v_at := greatest", "PERFORM pg_advisory_xact_lock(7021434); v_at := greatest"),
];
/// A stream has the version that the append expects.
const NO_VERSION: Line = &[
    ("append_batch", "s.version = w.expected AND ", ""),
    ("append_batch", "s.version IS DISTINCT FROM w.expected OR ", "s.version IS NULL OR "),
    ("append_one", "version = s_expected AND ", ""),
];
/// Nobody writes whose epoch is over.
const NO_FENCE: Line = &[
    ("append_batch", " AND s.owner_epoch <= w.largest", ""),
    ("append_batch", " OR s.owner_epoch > w.largest", ""),
    ("append_one", " AND owner_epoch <= s_largest", ""),
];
/// Positions follow each other.
const HOLES: Line = &[
    ("append_batch", "v_first := last_position + 1;", "v_first := last_position + 2;"),
    (
        "append_batch",
        "last_position := last_position + v_count;",
        "last_position := last_position + v_count + 1;",
    ),
];

/// A database whose appends can be held, right before their last row is written.
struct Stage {
    server: SharedServer,
    url: String,
    /// A session that holds the gate.
    gate: Client,
}

type Running = JoinHandle<Result<Appended, AppendError>>;

/// What a script found that must not be.
type Found = Result<(), String>;

impl Stage {
    async fn new(line: Line) -> Self {
        let server = Server::shared().await.unwrap();
        let url = server.database().await.unwrap();
        open(&url).await.close().await.unwrap();
        for (function, text, replacement) in line {
            sabotage(&server, &url, function, text, replacement).await;
        }
        let (gate, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "CREATE TABLE public.gate (position bigint);
            INSERT INTO public.gate VALUES (0);
            CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              IF NEW.first_position = (SELECT position FROM public.gate) THEN
                PERFORM pg_advisory_xact_lock_shared(42);
              END IF;
              RETURN NEW;
            END $$;
            CREATE TRIGGER wait BEFORE INSERT ON flexcore.batch
              FOR EACH ROW EXECUTE FUNCTION public.wait();";
        gate.batch_execute(sql).await.unwrap();
        Self { server, url, gate }
    }

    /// From now on, the append that takes this position is held.
    async fn close_gate(&self, position: u64) {
        let sql =
            format!("UPDATE public.gate SET position = {position}; SELECT pg_advisory_lock(42)");
        self.gate.batch_execute(&sql).await.unwrap();
    }

    async fn open_gate(&self) {
        let sql = "UPDATE public.gate SET position = 0; SELECT pg_advisory_unlock(42)";
        self.gate.batch_execute(sql).await.unwrap();
    }

    /// How many appends wait for a lock of any kind.
    async fn waiting(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.gate.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Hands an append over and waits until it can go no further: it is done, or waits for a lock
    /// as `others` do already.
    async fn begin(&self, node: &PostgresStore, append: Append, others: i64) -> Running {
        let store = node.events();
        let running = tokio::spawn(async move { store.append(append).await });
        let stuck = async {
            while !running.is_finished() && self.waiting().await <= others {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), stuck).await.expect("it gets that far");
        running
    }

    /// The log is whole, has so many events, and is read without a hole.
    async fn check(&self, node: &PostgresStore, events: u64) -> Found {
        let fault = node.verifier().verify(&[]).await.map_err(|error| error.to_string())?.fault;
        if let Some(VerifyFault { batch, reason, .. }) = fault {
            return Err(format!("batch {batch:?}: {reason}"));
        }
        let read = node.events().read_all(0, 1_000, &ReadFilter::default()).await;
        let positions: Vec<u64> =
            read.map_err(|error| error.to_string())?.iter().map(|event| event.position).collect();
        if positions.iter().copied().eq(1..=events) {
            Ok(())
        } else {
            Err(format!("positions are {positions:?}"))
        }
    }
}

/// Replaces a text in a function of this database.
async fn sabotage(server: &SharedServer, url: &str, function: &str, from: &str, to: &str) {
    let sql = format!("SELECT pg_get_functiondef('flexcore.{function}'::regproc)");
    let definition = server.sql(url, &sql).await.unwrap();
    assert!(definition.contains(from), "{function} has no `{from}`");
    server.sql(url, &definition.replace(from, to)).await.unwrap();
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

/// Appends to one stream: of one event, which go the short way if the stream exists, or of two.
fn to(key: &str, expected: u64, number: u64, count: u64) -> Append {
    Append::to(stream(key), expected, (number..number + count).map(event).collect())
}

async fn accepted(running: Running, who: &str) -> Result<u64, String> {
    let outcome = running.await.unwrap();
    outcome.map(|appended| appended.last_position).map_err(|error| format!("{who}: {error}"))
}

/// Two processes append to streams of their own; the first is held while the second comes. Both
/// are accepted, one after the other, and until the first is through nobody sees anything.
async fn neighbours(stage: &Stage) -> Found {
    let (one, other) = (open(&stage.url).await, open(&stage.url).await);
    let (mut end, mut version) = (0, 0);
    // Streams that do not exist, one event on those that do, and several.
    for count in [1, 1, 2] {
        stage.close_gate(end + 1).await;
        let first = stage.begin(&one, to("a", version, end * 2 + 100, count), 0).await;
        let second = stage.begin(&other, to("b", version, end * 2 + 100 + count, count), 1).await;
        let head = open(&stage.url).await.events().head().await.unwrap();
        stage.open_gate().await;
        if head.position != end {
            return Err(format!("position {} was visible too early", head.position));
        }
        accepted(first, "the first").await?;
        accepted(second, "the second").await?;
        (end, version) = (end + 2 * count, version + count);
        stage.check(&one, end).await?;
    }
    Ok(())
}

/// Two processes append to one stream at the same version: one is accepted, the other learns the
/// version that the stream has.
async fn rivals(stage: &Stage) -> Found {
    let (one, other) = (open(&stage.url).await, open(&stage.url).await);
    one.events().append(to("s", 0, 1, 1)).await.unwrap();
    let mut version = 1;
    for count in [1, 2] {
        stage.close_gate(version + 1).await;
        let first = stage.begin(&one, to("s", version, version * 10, count), 0).await;
        let second = stage.begin(&other, to("s", version, version * 10 + 5, count), 1).await;
        stage.open_gate().await;
        let outcomes = [first.await.unwrap(), second.await.unwrap()];
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let lost = outcomes.iter().filter(|outcome| {
            matches!(outcome, Err(AppendError::Conflict { actual, .. }) if *actual == version + count)
        });
        if (won, lost.count()) != (1, 1) {
            return Err(format!("{outcomes:?}"));
        }
        version += count;
        stage.check(&one, version).await?;
    }
    Ok(())
}

/// A new owner's claim is held while the former one appends what would fit after it.
async fn owners(stage: &Stage) -> Found {
    let (owner, former) = (open(&stage.url).await, open(&stage.url).await);
    former.events().append(to("s", 0, 1, 1).fenced(Epoch(1))).await.unwrap();
    // So that the other process knows the stream, too.
    owner.events().append(Append::default().guarded(stream("s"), 1, Some(Epoch(1)))).await.unwrap();
    let mut version = 1;
    for (count, epoch) in [(1, 2), (2, 3)] {
        stage.close_gate(version + 1).await;
        let claim = to("s", version, version * 10, count).fenced(Epoch(epoch));
        let claim = stage.begin(&owner, claim, 0).await;
        let late = to("s", version + count, version * 10 + 5, count).fenced(Epoch(epoch - 1));
        let late = stage.begin(&former, late, 1).await;
        stage.open_gate().await;
        accepted(claim, "the claim").await?;
        match late.await.unwrap() {
            Err(AppendError::Fenced { owner, .. }) if owner == Epoch(epoch) => {}
            // The claim was held for so long that it was begun anew, behind the late append.
            Err(AppendError::Conflict { .. }) => {}
            other => {
                let verified = stage.check(&owner, version + 2 * count).await;
                return Err(format!("a former owner wrote: {other:?}, and {verified:?}"));
            }
        }
        version += count;
        stage.check(&owner, version).await?;
    }
    Ok(())
}

/// The script passes as the functions are, and notices if a line is taken out of them.
macro_rules! guarded {
    ($name:ident: $script:ident without $line:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            assert_eq!($script(&Stage::new(&[]).await).await, Ok(()));
            let found = $script(&Stage::new($line).await).await;
            println!("without the line: {found:?}");
            assert!(found.is_err(), "nobody noticed");
        }
    };
}

guarded!(appends_of_all_processes_are_one_after_the_other: neighbours without NO_LOCK);
guarded!(the_end_of_the_log_is_read_with_the_lock_in_hand: neighbours without LATE_LOCK);
guarded!(of_two_appends_at_one_version_one_is_refused: rivals without NO_VERSION);
guarded!(a_former_owner_is_refused_while_the_next_one_claims: owners without NO_FENCE);

/// A log with holes, as the functions would make it without their line: neither reader nor verifier
/// passes over one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_is_never_passed_over() {
    let stage = Stage::new(HOLES).await;
    let store = open(&stage.url).await;
    for number in 0..3 {
        // An append of two events does not go the short way.
        let _ = store.events().append(to("a", number * 2, number * 2, 2)).await;
    }
    let read = store.events().read_all(0, 100, &ReadFilter::default()).await;
    assert!(
        matches!(&read, Err(StoreError::Corrupt { reason, .. }) if reason.contains("hole")),
        "{read:?}"
    );
    let found = stage.check(&store, 6).await;
    assert!(found.is_err(), "{found:?}");
}

/// Whoever got its transaction's number first may commit last: positions do not care. (Finding 3:
/// a log that is read in the order of transaction numbers shows such a stream turned around.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_transaction_numbers_does_not_matter() {
    let stage = Stage::new(&[]).await;
    let (one, other) = (open(&stage.url).await, open(&stage.url).await);
    one.events().append(to("a", 0, 1, 1)).await.unwrap();
    // The trigger makes the second append take its number before it waits for anything.
    let early = "CREATE TABLE public.early (x int);
        CREATE FUNCTION public.write_early() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.early VALUES (1); RETURN NEW; END $$;
        CREATE TRIGGER a_first BEFORE INSERT ON flexcore.batch
          FOR EACH ROW EXECUTE FUNCTION public.write_early();";
    stage.gate.batch_execute(early).await.unwrap();
    stage.close_gate(2).await;
    let first = stage.begin(&one, to("a", 1, 10, 1), 0).await;
    let second = stage.begin(&other, to("b", 0, 20, 3), 1).await;
    // A transaction that is older than the third append and writes something else all the while.
    let (writer, connection) = tokio_postgres::connect(&stage.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    writer.batch_execute("BEGIN; INSERT INTO public.early VALUES (2)").await.unwrap();
    stage.open_gate().await;
    accepted(first, "the first").await.unwrap();
    accepted(second, "the second").await.unwrap();
    let third = other.events().append(to("a", 2, 30, 1)).await.unwrap();
    writer.batch_execute("COMMIT").await.unwrap();
    assert_eq!(third.last_position, 6);
    let all = one.events().read_all(0, 100, &ReadFilter::default()).await.unwrap();
    let versions = all.iter().filter(|event| event.stream == stream("a"));
    assert!(versions.map(|event| event.version).eq(1..=3));
    stage.check(&one, 6).await.unwrap();
}

/// A process that hangs in the middle of its append is ended: nobody skips what it did not commit,
/// and nobody waits for it for ever. (Findings 1 and 2: others skip it after a while, or never go
/// on.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_hangs_leaves_no_hole() {
    let stage = Stage::new(&[]).await;
    let (one, other) = (open(&stage.url).await, open(&stage.url).await);
    let reader = open(&stage.url).await;
    let mut appended = reader.events().appended();
    stage.close_gate(1).await;
    let hung = stage.begin(&one, to("a", 0, 1, 2), 0).await;
    let behind = stage.begin(&other, to("b", 0, 10, 1), 1).await;
    assert_eq!(reader.events().read_all(0, 9, &ReadFilter::default()).await.unwrap(), []);
    // Its connection ends; what it had written is gone, and it begins again behind the other.
    let sql = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l \
               WHERE l.locktype = 'advisory' AND l.objid = 42 AND NOT l.granted";
    stage.gate.batch_execute(sql).await.unwrap();
    stage.open_gate().await;
    let positions = [accepted(hung, "the first").await, accepted(behind, "the second").await];
    let positions = positions.map(Result::unwrap);
    assert!(positions.iter().max() == Some(&3), "{positions:?}");
    let end = appended.wait_for(|position| *position == 3).await.unwrap();
    assert_eq!(*end, 3);
    stage.check(&reader, 3).await.unwrap();
}

/// What one process has announced, all others can read. (Finding 4: whoever asks for the end in the
/// statement that reads may be told of events which that statement does not see.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_what_cannot_be_read() {
    let stage = Stage::new(&[]).await;
    let (one, other) = (open(&stage.url).await, open(&stage.url).await);
    let watcher = {
        let store = other.events();
        tokio::spawn(async move {
            let (mut appended, mut seen) = (store.appended(), 0);
            while seen < 150 {
                appended.changed().await.unwrap();
                let end = *appended.borrow_and_update();
                let page = store.read_all(seen, 1_000, &ReadFilter::default()).await.unwrap();
                seen += page.len() as u64;
                assert!(seen >= end, "told of {end}, and read up to {seen}");
            }
        })
    };
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..10_u64 {
        let store: Arc<_> = if caller % 2 == 0 { one.events() } else { other.events() };
        tasks.spawn(async move {
            for version in 0..15 {
                let append = to(&caller.to_string(), version, caller * 100 + version, 1);
                store.append(append).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    tokio::time::timeout(Duration::from_mins(1), watcher).await.expect("in time").unwrap();
    stage.check(&one, 150).await.unwrap();
    let _server = &stage.server;
}
