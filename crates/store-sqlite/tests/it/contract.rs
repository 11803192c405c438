//! The contract suites of the ports.

use std::{pin::Pin, sync::Arc};

use flexcore_store_sqlite::{OpenMode, SqliteStore};
use flexcore_testkit::{
    ManualClock, event_store_contract::Fixture, model_contract, snapshots_contract,
};
use tempfile::TempDir;

use crate::support::{folder, writer};

async fn sqlite() -> Fixture {
    open(folder(), Arc::default())
}

fn open(folder: TempDir, clock: Arc<ManualClock>) -> Fixture {
    let mode = OpenMode::Writer { purpose: "a test".to_owned() };
    let store = SqliteStore::open(folder.path(), mode, clock.clone()).unwrap();
    let (events, transfer, verifier) = (store.events(), store.transfer(), store.verifier());
    let reopen = {
        let clock = Arc::clone(&clock);
        move || -> Pin<Box<dyn Future<Output = Fixture>>> {
            Box::pin(async move {
                store.close().await.unwrap();
                open(folder, clock)
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

flexcore_testkit::event_store_contract!(sqlite);

#[test]
fn the_store_does_what_the_reference_does() {
    model_contract::the_store_does_what_the_reference_does(500, sqlite);
}

#[test]
fn appends_at_once_are_taken_in_some_order() {
    model_contract::appends_at_once_are_taken_in_some_order(500, sqlite);
}

macro_rules! snapshots_contract {
    ($($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let folder = folder();
                let store = writer(folder.path()).unwrap();
                snapshots_contract::$case(&*store.events(), &store.snapshots()).await;
            }
        )+
    };
}

flexcore_testkit::for_each_snapshot_case!(snapshots_contract);

macro_rules! view_store_contract {
    ($($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let folder = folder();
                let store = writer(folder.path()).unwrap();
                flexcore_testkit::view_store_contract::$case(&*store.views()).await;
            }
        )+
    };
}

flexcore_testkit::for_each_view_case!(view_store_contract);
