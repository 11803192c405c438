//! What only the inside of the store can bring about.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use flexcore_eventsourcing::{Append, EventData};
use flexcore_testkit::{event, postgres::Server, stream};

use super::*;
use crate::{PostgresOptions, PostgresStore, Role, connection::Connector};

const ENOUGH: Duration = Duration::from_mins(1);

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(ENOUGH, wait).await.expect("it happens in time");
}

/// A batch that asks for the number of an event type holds the lock on what is known of names, and
/// gets on only while the batcher looks at it. An append that is sent again wants the same lock: the
/// batcher itself must not wait for it.
///
/// On one thread, whoever has taken a message has done with it all that it can before others look.
#[tokio::test]
async fn an_append_that_is_sent_again_does_not_hold_up_a_batch_on_its_way() {
    let server = Server::shared().await.expect("PostgreSQL; run `make setup`");
    let url = server.database().await.unwrap();
    let store = PostgresStore::open(PostgresOptions::new(&url, Role::Writer)).await.unwrap();
    let events = store.events();
    events.append(Append::to(stream("old"), 0, vec![event(1)])).await.unwrap();

    // Whoever asks for the number of a type waits from now on.
    let connector = Connector::new(&url).unwrap();
    let blocker = connector.connect().await.unwrap();
    let observer = connector.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE flexcore.event_type IN ACCESS EXCLUSIVE MODE";
    blocker.batch_execute(lock).await.unwrap();
    let unknown = EventData { type_name: "Unheard".into(), ..event(2) };
    let first = tokio::spawn({
        let events = Arc::clone(&events);
        async move { events.append(Append::to(stream("new"), 0, vec![unknown])).await }
    });
    until(async || {
        let sql = "SELECT 1 FROM pg_stat_activity \
                   WHERE wait_event_type = 'Lock' AND datname = current_database()";
        !observer.query(sql, &[]).await.unwrap().is_empty()
    })
    .await;

    let is_sent = Arc::new(AtomicBool::new(false));
    let second = tokio::spawn({
        let (events, is_sent) = (Arc::clone(&events), Arc::clone(&is_sent));
        let prepared = Prepared::new(Append::to(stream("old"), 1, vec![event(3)])).unwrap();
        async move {
            is_sent.store(true, Ordering::SeqCst);
            events.ask(prepared, true).await
        }
    });
    let batcher = events.batcher.as_ref().unwrap();
    until(async || is_sent.load(Ordering::SeqCst) && batcher.capacity() == CAPACITY).await;
    blocker.batch_execute("ROLLBACK").await.unwrap();
    timeout(ENOUGH, first).await.expect("the batch on its way gets on").unwrap().unwrap();
    let answer = timeout(ENOUGH, second).await.expect("the one behind it, too").unwrap().unwrap();
    assert!(matches!(answer.outcome, Outcome::Written(_)));
    store.close().await.unwrap();
}
