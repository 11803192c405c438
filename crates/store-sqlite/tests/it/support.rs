//! Stores in temporary folders.

use std::{path::Path, sync::Arc};

use flexcore_eventsourcing::{Append, EventData};
use flexcore_ports::{EventStore, LogVerifier, VerifyReport};
use flexcore_store_sqlite::{OpenError, OpenMode, SqliteLogVerifier, SqliteStore};
use flexcore_testkit::{ManualClock, event, payload, stream};
use tempfile::TempDir;

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn writer(folder: &Path) -> Result<SqliteStore, OpenError> {
    let mode = OpenMode::Writer { purpose: "a test".to_owned() };
    SqliteStore::open(folder, mode, Arc::new(ManualClock::at(1_000)))
}

pub(crate) fn reader(folder: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(folder, OpenMode::Reader, Arc::new(ManualClock::default()))
}

pub(crate) async fn verify(folder: &Path) -> VerifyReport {
    SqliteLogVerifier::new(folder).verify(&[]).await.unwrap()
}

/// A whole log must verify; says what does not hold.
pub(crate) async fn assert_whole(folder: &Path) -> VerifyReport {
    let report = verify(folder).await;
    assert_eq!(report.fault, None);
    report
}

/// Appends `batches` batches of up to five events over seven streams, with payloads of all sizes.
pub(crate) async fn fill(store: &SqliteStore, batches: u64) {
    let events = store.events();
    let mut versions = [0_u64; 7];
    for batch in 0..batches {
        let key = usize::try_from(batch % 7).unwrap();
        let count = 1 + batch % 5;
        let new = (0..count)
            .map(|offset| {
                let number = batch * 10 + offset;
                let length =
                    if number % 37 == 0 { 20_000 } else { usize::try_from(number % 400).unwrap() };
                EventData { payload: payload(number, length), ..event(number) }
            })
            .collect();
        let append = Append::to(stream(&key.to_string()), versions[key], new);
        events.append(append).await.unwrap();
        versions[key] += count;
    }
}
