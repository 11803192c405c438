//! The store under the role of the application, which may append and read and change nothing.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role, migrate};
use flexcore_testkit::{
    SetTime, event_store_contract, event_store_contract::Fixture, model_contract, postgres::Server,
};

/// These cases leave the clock alone.
struct NoClock;

#[async_trait]
impl SetTime for NoClock {
    async fn set_time(&self, _: i64) {
        panic!("the application cannot set the server's clock");
    }
}

async fn application() -> Fixture {
    let urls = Server::shared().await.unwrap().database_with_roles().await.unwrap();
    migrate(&urls.owner, Some(&urls.app_role)).await.unwrap();
    open(urls.app).await
}

async fn open(url: String) -> Fixture {
    let store = PostgresStore::open(PostgresOptions::new(&url, Role::Writer)).await.unwrap();
    let (events, transfer, verifier) = (store.events(), store.transfer(), store.verifier());
    let reopen = move || -> Pin<Box<dyn Future<Output = Fixture>>> {
        Box::pin(async move {
            store.close().await.unwrap();
            open(url).await
        })
    };
    Fixture {
        store: events,
        transfer: Arc::new(transfer),
        verifier: Arc::new(verifier),
        clock: Arc::new(NoClock),
        reopen: Box::new(reopen),
    }
}

#[test]
fn the_store_does_what_the_reference_does() {
    model_contract::the_store_does_what_the_reference_does(100, application);
}

#[test]
fn appends_at_once_are_taken_in_some_order() {
    model_contract::appends_at_once_are_taken_in_some_order(100, application);
}

/// One case for each thing that the application does with the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_owners_pages_and_copies_are_the_same() {
    event_store_contract::a_thousand_streams_are_one_append(&application().await).await;
    event_store_contract::many_types_and_contexts_come_back(&application().await).await;
    event_store_contract::of_racing_claims_one_wins_each_epoch(&application().await).await;
    event_store_contract::a_rare_type_is_found(&application().await).await;
    event_store_contract::growth_is_announced(&application().await).await;
    let (one, other) = (application().await, application().await);
    event_store_contract::large_batches_are_copied(&one, &other).await;
    one.assert_whole().await;
    other.assert_whole().await;
}
