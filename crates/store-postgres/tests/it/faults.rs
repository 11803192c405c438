//! Servers that hang, are slow, full, read-only, restarted again and again, or whose clock jumps.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flexcore_eventsourcing::{Append, EventData};
use flexcore_ports::{AppendError, EventStore, LogVerifier, ReadFilter, StoreError};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{
    event, payload,
    postgres::{Server, Shutdown},
    stream,
};
use tokio::task::JoinSet;

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

fn one(key: &str, expected: u64, number: u64) -> Append {
    Append::to(stream(key), expected, vec![event(number)])
}

async fn assert_whole(store: &PostgresStore, events: u64) {
    let report = store.verifier().verify(&[]).await.unwrap();
    assert_eq!((report.fault, report.events), (None, events));
    let all = store.events().read_all(0, 10_000, &ReadFilter::default()).await.unwrap();
    assert!(all.iter().map(|event| event.position).eq(1..=events));
}

/// What a person is told of an append that the store could not take.
fn reason(outcome: Result<flexcore_ports::Appended, AppendError>) -> String {
    match outcome {
        Err(AppendError::Unavailable(StoreError::Unavailable(reason))) => reason,
        other => panic!("{other:?}"),
    }
}

/// A server that stands still: the append goes through once it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_survives_a_pause_of_the_server() {
    let server = Server::start().await.unwrap();
    let store = open(&server.database().await.unwrap()).await;
    for round in 0..5 {
        server.pause().await.unwrap();
        let appends: JoinSet<_> = (0..20_u64)
            .map(|caller| {
                let store = store.events();
                let append = one(&caller.to_string(), round, caller * 100 + round);
                async move { store.append(append).await }
            })
            .collect();
        tokio::task::yield_now().await;
        server.resume().await.unwrap();
        for outcome in appends.join_all().await {
            assert!(!outcome.unwrap().repeated);
        }
    }
    assert_whole(&store, 100).await;
}

/// A server that stands still for longer than anybody waits: whether the append was written is not
/// known, which is what the caller is told, and the same append may be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_into_a_server_that_hangs_may_be_repeated() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let options = PostgresOptions {
        append_deadline: Duration::from_millis(200),
        ..PostgresOptions::new(&url, Role::Writer)
    };
    let store = PostgresStore::open(options).await.unwrap();
    store.events().append(one("a", 0, 1)).await.unwrap();
    server.pause().await.unwrap();
    let reason = reason(store.events().append(one("a", 1, 2)).await);
    assert!(reason.contains("not known") && reason.contains("repeating"), "{reason}");
    server.resume().await.unwrap();
    let mut outcome = store.events().append(one("a", 1, 2)).await;
    // The first attempt may still be on its way in a session that woke up as late as we did.
    while let Err(AppendError::Unavailable(_)) = outcome {
        outcome = store.events().append(one("a", 1, 2)).await;
    }
    assert_eq!(outcome.unwrap().last_position, 2);
    store.events().append(one("a", 2, 3)).await.unwrap();
    assert_whole(&store, 3).await;
}

/// A server that is too slow for one append takes the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_fails_alone() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = open(&url).await;
    let sql = "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF new.name LIKE '%/slow' THEN PERFORM pg_sleep(60); END IF; RETURN new; END $$; \
         CREATE TRIGGER dawdle BEFORE INSERT ON flexcore.stream \
         FOR EACH ROW EXECUTE FUNCTION public.dawdle()";
    server.sql(&url, sql).await.unwrap();
    let slow = {
        let store = store.events();
        tokio::spawn(async move { store.append(one("slow", 0, 1)).await })
    };
    let mut others = JoinSet::new();
    for number in 10..30_u64 {
        let store = store.events();
        others.spawn(async move { store.append(one(&number.to_string(), 0, number)).await });
    }
    for outcome in others.join_all().await {
        outcome.unwrap();
    }
    let reason = reason(slow.await.unwrap());
    assert!(reason.contains("too slow") || reason.contains("statement timeout"), "{reason}");
    assert_whole(&store, 20).await;
}

/// Ten restarts that are as hard as a loss of power, in the middle of appends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_hard_restarts_lose_nothing_that_was_acknowledged() {
    let server = Server::start().await.unwrap();
    let store = open(&server.database().await.unwrap()).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for caller in 0..6_u64 {
        let (store, done) = (store.events(), Arc::clone(&done));
        callers.spawn(async move {
            let mut version = 0;
            while !done.load(Ordering::Relaxed) {
                let append = one(&caller.to_string(), version, caller * 1_000_000 + version);
                store.append(append).await.unwrap();
                version += 1;
            }
            version
        });
    }
    let mut appended = store.events().appended();
    for _ in 0..10 {
        let position = *appended.borrow();
        appended.wait_for(|now| *now > position + 30).await.unwrap();
        server.restart(Shutdown::Immediate).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let acknowledged: u64 = callers.join_all().await.into_iter().sum();
    let report = store.verifier().verify(&[]).await.unwrap();
    assert_eq!((report.fault, report.events), (None, acknowledged));
}

/// A folder with little room, unmounted when the test ends.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(megabytes: u32) -> Self {
        // The server's account has to get there.
        let folder = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()));
        // The server refuses to use a folder that is not its own.
        run(Command::new("chown").arg("postgres").arg(folder.path()));
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "the tests run as root: {command:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_appends_and_loses_nothing() {
    let disk = SmallDisk::new(40);
    let server = Server::start().await.unwrap();
    let place = disk.path().display().to_string();
    let sql = format!("CREATE TABLESPACE small LOCATION '{place}'");
    server.sql(&server.url(), &sql).await.unwrap();
    server.sql(&server.url(), "CREATE DATABASE small TABLESPACE small").await.unwrap();
    let url = server.url().replace("/postgres", "/small");
    let store = open(&url).await;
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![7; 8 << 20]).unwrap();
    let large = |number| EventData { payload: payload(number, 500_000), ..event(number) };
    let mut accepted = 0;
    let refused = loop {
        assert!(accepted < 200, "the disk never became full");
        let append = Append::to(stream("a"), accepted, vec![large(accepted)]);
        match store.events().append(append).await {
            Ok(_) => accepted += 1,
            refused => break reason(refused),
        }
    };
    assert!(accepted > 3 && refused.contains("space"), "{accepted}: {refused}");
    std::fs::remove_file(&ballast).unwrap();
    // Once there is room, the same append goes through.
    let append = Append::to(stream("a"), accepted, vec![large(accepted)]);
    let appended = store.events().append(append).await.unwrap();
    assert_eq!((appended.last_position, appended.repeated), (accepted + 1, false));
    assert_whole(&store, accepted + 1).await;
    store.close().await.unwrap();
    server.stop(Shutdown::Immediate).await.unwrap();
}

/// A database that takes no writes for a while, as a standby does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_says_so_and_can_be_read() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = open(&url).await;
    store.events().append(one("a", 0, 1)).await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    let read_only = |value: &str| {
        format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {value}; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    };
    server.sql(&url, &read_only("on")).await.unwrap();
    let told = reason(store.events().append(one("a", 1, 2)).await);
    assert!(told.contains("read-only") || told.contains("no writes"), "{told}");
    let found = store.events().read_all(0, 9, &ReadFilter::default()).await;
    assert_eq!(found.unwrap().len(), 1);
    let undo = format!("SET default_transaction_read_only = off; {}", read_only("off"));
    server.sql(&url, &undo).await.unwrap();
    store.events().append(one("a", 1, 2)).await.unwrap();
    assert_whole(&store, 2).await;
}

/// The server's clock, back and forth: times of commit never decrease, over all processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_does_not_turn_the_log_around() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let (first, second) = (open(&url).await, open(&url).await);
    let sql = "CREATE SEQUENCE public.jumps; \
         CREATE OR REPLACE FUNCTION flexcore.now() RETURNS bigint LANGUAGE sql VOLATILE \
         RETURN 1000000 + (nextval('public.jumps') * 7919 % 1000 - 500) * 1000";
    server.sql(&url, sql).await.unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..10_u64 {
        let store = if caller % 2 == 0 { first.events() } else { second.events() };
        callers.spawn(async move {
            for version in 0..20 {
                let append = one(&caller.to_string(), version, caller * 100 + version);
                store.append(append).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let all = first.events().read_all(0, 1_000, &ReadFilter::default()).await.unwrap();
    assert!(all.is_sorted_by_key(|event| event.committed_at));
    assert_whole(&second, 200).await;
}

/// A log that was set back to an older state, as a failover to a replica that was behind does: what
/// comes next is not taken for what was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_end_is_another_history() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = open(&url).await;
    for version in 0..5 {
        if version == 3 {
            let sql = "CREATE TABLE public.stream AS TABLE flexcore.stream";
            server.sql(&url, sql).await.unwrap();
        }
        store.events().append(one("a", version, version)).await.unwrap();
    }
    let known = store.events().head().await.unwrap();
    store.close().await.unwrap();
    let sql = "BEGIN; SET LOCAL session_replication_role = replica; \
         DELETE FROM flexcore.event WHERE position > 3; DELETE FROM flexcore.batch WHERE number > 3; \
         DELETE FROM flexcore.stream; INSERT INTO flexcore.stream SELECT * FROM public.stream; COMMIT;";
    server.sql(&url, sql).await.unwrap();
    let store = open(&url).await;
    for number in 0..4 {
        store.events().append(one(&format!("new{number}"), 0, 100 + number)).await.unwrap();
    }
    // Whoever remembers position and hash sees it; the position alone would say nothing.
    assert!(store.events().head().await.unwrap().position > known.position);
    let now = store.events().batch_hash_at(known.position).await.unwrap();
    assert!(now.is_some() && now != Some(known.hash));
    let fault = store.verifier().verify(&[known]).await.unwrap().fault.unwrap();
    assert!(fault.reason.contains("rewritten"), "{}", fault.reason);
}
