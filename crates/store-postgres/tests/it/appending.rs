//! What happens to appends when the server, the connection or a partition does not play along.

use std::{sync::Arc, time::Duration};

use flexcore_eventsourcing::{Append, Epoch};
use flexcore_ports::{
    AppendError, Checkpoint, EventStore, Fold, LogVerifier as _, ProjectedRows as _, ReadFilter,
    StoreError,
};
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{
    event,
    postgres::{Server, Shutdown},
    stream,
};
use tokio::task::JoinSet;

use crate::support::{until, writer};

/// Appends one by one to a stream of its own, until it has so many.
async fn fill(store: Arc<dyn EventStore>, key: String, count: u64) {
    for number in 0..count {
        let id = u64::from(key.bytes().last().unwrap_or(0)) * 100_000 + number;
        store.append(Append::to(stream(&key), number, vec![event(id)])).await.unwrap();
    }
}

async fn assert_whole(store: &PostgresStore, events: usize) {
    let report = store.verifier().verify(&[]).await.unwrap();
    assert_eq!(report.fault, None);
    assert_eq!(report.events, events as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_created_before_they_are_needed() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    writer(&url).await.close().await.unwrap();
    // As if the log had begun with small partitions.
    let sql = "DROP TABLE flexcore.event_1; DELETE FROM flexcore.event_partition; \
               UPDATE flexcore.setting SET value = 20 WHERE key = 'positions_per_partition'";
    server.sql(&url, sql).await.unwrap();
    let store = writer(&url).await;
    let mut tasks = JoinSet::new();
    for key in ["a", "b", "c", "d"] {
        tasks.spawn(fill(store.events(), key.to_owned(), 50));
    }
    tasks.join_all().await;
    // More at once than a partition holds.
    let many =
        Append::to(stream("e"), 0, (0..70).map(|number| event(9_000_000 + number)).collect());
    store.events().append(many).await.unwrap();
    assert_whole(&store, 270).await;
    let all = store.events().read_all(15, 100, &ReadFilter::default()).await.unwrap();
    assert_eq!(all.len(), 100);
    let partitions = server.sql(&url, "SELECT count(*) FROM flexcore.event_partition").await;
    assert!(partitions.unwrap().trim().parse::<u32>().unwrap() > 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_lose_and_repeat_nothing() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    let mut tasks = JoinSet::new();
    for key in ["a", "b", "c", "d", "e", "f"] {
        tasks.spawn(fill(store.events(), key.to_owned(), 300));
    }
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut ended = 0;
    while !tasks.is_empty() {
        while let Some(finished) = tasks.try_join_next() {
            finished.unwrap();
        }
        if ended < 25 && server.sql(&url, sql).await.is_ok() {
            ended += 1;
        }
        tokio::task::yield_now().await;
    }
    assert_whole(&store, 1_800).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_or_dies_loses_nothing() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    let mut tasks = JoinSet::new();
    for key in ["a", "b", "c", "d"] {
        tasks.spawn(fill(store.events(), key.to_owned(), 400));
    }
    let mut appended = store.events().appended();
    for goal in [100, 500, 900] {
        appended.wait_for(|position| *position >= goal).await.unwrap();
        match goal {
            100 => server.restart(Shutdown::Fast).await.unwrap(),
            500 => server.restart(Shutdown::Immediate).await.unwrap(),
            _ => {
                server.kill().await.unwrap();
                server.restart(Shutdown::Immediate).await.unwrap();
            }
        }
    }
    tasks.join_all().await;
    assert_whole(&store, 1_600).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_an_unknown_outcome_and_the_append_may_be_repeated() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let options = PostgresOptions {
        append_deadline: Duration::from_millis(300),
        ..PostgresOptions::new(&url, Role::Writer)
    };
    let store = PostgresStore::open(options).await.unwrap();
    let append = Append::to(stream("a"), 0, vec![event(1)]);
    store.events().append(append.clone()).await.unwrap();
    server.stop(Shutdown::Immediate).await.unwrap();
    let second = Append::to(stream("a"), 1, vec![event(2)]);
    let failed = store.events().append(second.clone()).await;
    assert!(
        matches!(failed, Err(AppendError::Unavailable(StoreError::Unavailable(_)))),
        "{failed:?}"
    );
    server.restart(Shutdown::Fast).await.unwrap();
    assert!(store.events().append(append).await.unwrap().repeated);
    store.events().append(second).await.unwrap();
    assert_whole(&store, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_somebody_holds_is_waited_for() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    let holder = {
        let (server, url) = (server.clone(), url.clone());
        // Longer than an append waits for the lock at a time.
        tokio::spawn(async move {
            let sql = "SELECT pg_advisory_lock(7021434); SELECT pg_sleep(3)";
            server.sql(&url, sql).await.unwrap();
        })
    };
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    until(async || (server.sql(&url, sql).await.unwrap().trim() == "1").then_some(())).await;
    store.events().append(Append::to(stream("a"), 0, vec![event(1)])).await.unwrap();
    holder.await.unwrap();
    assert_whole(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_append_that_the_server_chokes_on_fails_alone() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    let sql = "CREATE FUNCTION public.choke() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF new.name LIKE '%/poison' THEN RAISE EXCEPTION 'choked'; END IF; RETURN new; END $$; \
         CREATE TRIGGER choke BEFORE INSERT ON flexcore.stream \
         FOR EACH ROW EXECUTE FUNCTION public.choke()";
    server.sql(&url, sql).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..60_u64 {
        let store = store.events();
        let key = if number == 17 { "poison".to_owned() } else { number.to_string() };
        tasks.spawn(async move {
            (number, store.append(Append::to(stream(&key), 0, vec![event(number)])).await)
        });
    }
    while let Some(finished) = tasks.join_next().await {
        let (number, outcome) = finished.unwrap();
        match outcome {
            Ok(_) => assert_ne!(number, 17),
            Err(error) => {
                assert_eq!(number, 17, "{error}");
                assert!(error.to_string().contains("choked"), "{error}");
            }
        }
    }
    assert_whole(&store, 59).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_see_what_others_append_and_are_told() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let (one, other) = (writer(&url).await, writer(&url).await);
    let mut appended = other.events().appended();
    for number in 0..50 {
        let store = if number % 2 == 0 { &one } else { &other };
        let append = Append::to(stream("a"), number, vec![event(number)]).fenced(Epoch(number / 5));
        store.events().append(append).await.unwrap();
    }
    appended.wait_for(|position| *position == 50).await.unwrap();
    let stale = Append::to(stream("a"), 50, vec![event(99)]).fenced(Epoch(3));
    let refused = one.events().append(stale).await;
    assert!(matches!(refused, Err(AppendError::Fenced { owner: Epoch(9), .. })), "{refused:?}");
    assert_whole(&one, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_reads_and_cannot_append() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    let reader = PostgresStore::open(PostgresOptions::new(&url, Role::Reader)).await.unwrap();
    let mut appended = reader.events().appended();
    store.events().append(Append::to(stream("a"), 0, vec![event(1)])).await.unwrap();
    appended.wait_for(|position| *position == 1).await.unwrap();
    assert_eq!(reader.events().head().await.unwrap(), store.events().head().await.unwrap());
    let refused = reader.events().append(Append::to(stream("a"), 1, vec![event(2)])).await;
    assert!(refused.unwrap_err().to_string().contains("for reading only"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_know_more_than_the_log_prove_that_it_was_cut() {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = writer(&url).await;
    store.events().append(Append::to(stream("a"), 0, vec![event(1)])).await.unwrap();
    let views = store.views();
    let hash = store.events().head().await.unwrap().hash;
    let fold = |projection: &str, position| Fold {
        projection: projection.to_owned(),
        after: None,
        epoch: Epoch(0),
        checkpoint: Checkpoint { position, hash },
        rows: Vec::new(),
    };
    views.apply(fold("pipelines", 1)).await.unwrap();
    assert_whole(&store, 1).await;
    views.apply(fold("executions", 2)).await.unwrap();
    let fault = store.verifier().verify(&[]).await.unwrap().fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(2), 1));
    assert!(fault.reason.contains("`executions`"), "{}", fault.reason);
}
