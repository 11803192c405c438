//! Servers and stores of tests.

use std::time::Duration;

use flexcore_store_postgres::{PostgresOptions, PostgresStore, Role};

/// A store on that database.
pub(crate) async fn writer(url: &str) -> PostgresStore {
    PostgresStore::open(PostgresOptions::new(url, Role::Writer)).await.unwrap()
}

/// Waits until `condition` gives something.
pub(crate) async fn until<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("it happens in time")
}
