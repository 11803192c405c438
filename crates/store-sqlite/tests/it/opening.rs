//! Opening, closing and who may.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use flexcore_eventsourcing::Append;
use flexcore_ports::{AppendError, EventStore, ReadFilter, StoreError};
use flexcore_store_sqlite::{OpenError, OpenMode, SqliteStore};
use flexcore_testkit::{ManualClock, event, stream};
use rusqlite::Connection;

use crate::support::{assert_whole, fill, folder, reader, writer};

#[tokio::test]
async fn a_second_writer_learns_who_holds_the_store() {
    let folder = folder();
    let mode = OpenMode::Writer { purpose: "run of pipeline flights".to_owned() };
    let store = SqliteStore::open(folder.path(), mode, Arc::new(ManualClock::default())).unwrap();
    let refused = writer(folder.path()).unwrap_err();
    let OpenError::Held { pid, ref purpose, .. } = refused else { unreachable!("{refused}") };
    assert_eq!(pid, Some(std::process::id()));
    assert_eq!(purpose, "run of pipeline flights");
    store.set_purpose("serve").unwrap();
    assert!(writer(folder.path()).unwrap_err().to_string().contains("(serve)"));
    // Readers are welcome meanwhile, and see what is committed.
    let beside = reader(folder.path()).unwrap();
    fill(&store, 3).await;
    assert_eq!(beside.events().head().await.unwrap(), store.events().head().await.unwrap());
    let all = beside.events().read_all(0, 100, &ReadFilter::default()).await.unwrap();
    assert_eq!(all.len(), 6);
    store.close().await.unwrap();
    writer(folder.path()).unwrap();
}

#[tokio::test]
async fn a_closed_store_has_one_file_and_refuses_appends() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 10).await;
    let events = store.events();
    store.close().await.unwrap();
    let wal = fs::metadata(folder.path().join("log.db-wal"));
    assert!(wal.map_or(0, |wal| wal.len()) == 0, "the write-ahead log is empty or gone");
    let refused = events.append(Append::to(stream("a"), 0, vec![event(1)])).await;
    assert!(
        matches!(&refused, Err(AppendError::Unavailable(StoreError::Unavailable(reason)))
        if reason.contains("closed")),
        "{refused:?}"
    );
    assert_eq!(assert_whole(folder.path()).await.batches, 10);
}

#[tokio::test]
async fn a_store_that_is_only_dropped_keeps_everything() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 10).await;
    drop(store);
    assert_eq!(assert_whole(folder.path()).await.batches, 10);
    let store = writer(folder.path()).unwrap();
    assert_eq!(store.events().head().await.unwrap().batch, 10);
    let refused = store.events().append(Append::to(stream("0"), 0, vec![event(9_999)])).await;
    assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");
}

#[tokio::test]
async fn only_the_owner_can_look_into_a_store() {
    let parent = folder();
    let folder = parent.path().join("project/.flexcore");
    let store = writer(&folder).unwrap();
    fill(&store, 1).await;
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.clone()), 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension != "current") {
            assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_reader_does_not_create_a_store() {
    let folder = folder();
    assert!(matches!(reader(folder.path()), Err(OpenError::Missing { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn change(folder: &std::path::Path, file: &str, sql: &str) {
    let connection = Connection::open(folder.join(file)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

#[tokio::test]
async fn a_newer_store_is_refused_and_left_alone() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 2).await;
    store.close().await.unwrap();
    change(folder.path(), "log.db", "PRAGMA user_version = 7");
    for refused in [writer(folder.path()).unwrap_err(), reader(folder.path()).unwrap_err()] {
        assert!(matches!(refused, OpenError::Newer { found: 7, supported: 1, .. }), "{refused}");
        assert!(refused.to_string().contains("use a release"), "{refused}");
    }
    change(folder.path(), "log.db", "PRAGMA user_version = 1");
    assert_whole(folder.path()).await;
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_and_left_alone() {
    let folder = folder();
    let foreign = folder.path().join("log.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let before = fs::read(&foreign).unwrap();
    let refused = writer(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NotAStore { .. }), "{refused}");
    fs::write(&foreign, b"not a database at all, but long enough to look at").unwrap();
    let refused = writer(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
    assert_ne!(before, fs::read(&foreign).unwrap());
}

#[tokio::test]
async fn events_cannot_be_changed_or_removed() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 3).await;
    store.close().await.unwrap();
    let connection = Connection::open(folder.path().join("log.db")).unwrap();
    for sql in [
        "UPDATE event SET version = 9",
        "DELETE FROM event",
        "UPDATE batch SET number = 9",
        "DELETE FROM batch",
    ] {
        let error = connection.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("never"), "{error}");
    }
}

#[tokio::test]
async fn a_corrupt_event_is_a_located_error() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 10).await;
    store.close().await.unwrap();
    change(
        folder.path(),
        "log.db",
        "DROP TRIGGER event_is_final; UPDATE event SET payload = x'00' WHERE position = 7",
    );
    let store = reader(folder.path()).unwrap();
    let good = store.events().read_all(0, 6, &ReadFilter::default()).await.unwrap();
    assert_eq!(good.len(), 6);
    let error = store.events().read_all(0, 7, &ReadFilter::default()).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { place, .. } if place == "position 7"),
        "{error}"
    );
}
