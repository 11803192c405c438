//! The contract of coordinators.

use std::sync::Arc;

use flexcore_ports::Coordinator;
use flexcore_store_postgres::{
    LeaseOwner, PostgresCoordinator, PostgresOptions, PostgresStore, Role,
};
use flexcore_testkit::{coordinator_contract::Rivals, postgres::Server};
use uuid::Uuid;

async fn store() -> PostgresStore {
    let url = Server::shared().await.unwrap().database().await.unwrap();
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

fn process(store: &PostgresStore, number: u128) -> PostgresCoordinator {
    let (process, node) = (Uuid::from_u128(number), Uuid::from_u128(100 + number));
    store.coordinator(LeaseOwner { process, node, label: format!("process {number}") })
}

async fn one() -> PostgresCoordinator {
    process(&store().await, 1)
}

async fn rivals() -> Rivals {
    let store = store().await;
    let processes = (1..=4).map(|n| Arc::new(process(&store, n)) as Arc<dyn Coordinator>);
    Rivals { processes: processes.collect(), keep: Box::new(store) }
}

flexcore_testkit::coordinator_contract!(one);
flexcore_testkit::rival_contract!(rivals);
