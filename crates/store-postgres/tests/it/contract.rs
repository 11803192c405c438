//! The contract suites of the ports.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};
use flexcore_testkit::{
    SetTime,
    event_store_contract::Fixture,
    model_contract,
    postgres::{Server, SharedServer},
};

/// The clock of a log is a function in its database.
struct ServerClock {
    server: SharedServer,
    url: String,
}

#[async_trait]
impl SetTime for ServerClock {
    async fn set_time(&self, micros: i64) {
        let sql = format!("UPDATE public.clock SET now = {micros}");
        self.server.sql(&self.url, &sql).await.unwrap();
    }
}

async fn postgres() -> Fixture {
    let server = Server::shared().await.unwrap();
    let url = server.database().await.unwrap();
    let store = open(&url).await;
    server
        .sql(
            &url,
            "CREATE TABLE public.clock (now bigint); INSERT INTO public.clock VALUES (0); \
             CREATE OR REPLACE FUNCTION flexcore.now() RETURNS bigint LANGUAGE sql VOLATILE \
             RETURN (SELECT now FROM public.clock)",
        )
        .await
        .unwrap();
    fixture(store, Arc::new(ServerClock { server, url }))
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

fn fixture(store: PostgresStore, clock: Arc<ServerClock>) -> Fixture {
    let (events, transfer, verifier) = (store.events(), store.transfer(), store.verifier());
    let reopen = {
        let clock = Arc::clone(&clock);
        move || -> Pin<Box<dyn Future<Output = Fixture>>> {
            Box::pin(async move {
                store.close().await.unwrap();
                fixture(open(&clock.url).await, clock)
            })
        }
    };
    Fixture {
        store: events,
        transfer: Arc::new(transfer),
        verifier: Arc::new(verifier),
        clock,
        reopen: Box::new(reopen),
    }
}

flexcore_testkit::event_store_contract!(postgres);

#[test]
fn the_store_does_what_the_reference_does() {
    model_contract::the_store_does_what_the_reference_does(500, postgres);
}

#[test]
fn appends_at_once_are_taken_in_some_order() {
    model_contract::appends_at_once_are_taken_in_some_order(500, postgres);
}
