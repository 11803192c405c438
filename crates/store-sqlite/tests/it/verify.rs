//! `verify`: what was changed is found, wherever it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::{Checkpoint, EventStore, LogVerifier, ReadFilter, VerifyFault, VerifyReport};
use flexcore_store_sqlite::{OpenError, SqliteStore};
use flexcore_testkit::view_store_contract::fold_at;
use rusqlite::Connection;

use crate::support::{assert_whole, fill, folder, reader, verify, writer};

/// A closed store with so many batches.
async fn closed(batches: u64) -> tempfile::TempDir {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, batches).await;
    store.close().await.unwrap();
    folder
}

async fn events(folder: &Path) -> Option<Vec<RecordedEvent>> {
    let store = reader(folder).ok()?;
    store.events().read_all(0, 10_000, &ReadFilter::default()).await.ok()
}

#[tokio::test]
async fn an_empty_and_a_filled_log_are_whole() {
    let empty = closed(0).await;
    let report = assert_whole(empty.path()).await;
    assert_eq!((report.batches, report.events, report.streams), (0, 0, 0));
    let filled = closed(50).await;
    let report = assert_whole(filled.path()).await;
    assert_eq!((report.batches, report.events, report.streams), (50, 150, 7));
}

#[tokio::test]
async fn a_log_that_is_being_written_verifies() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 30).await;
    let report = assert_whole(folder.path()).await;
    assert_eq!(report.batches, 30);
    assert_eq!(report.head, store.events().head().await.unwrap().hash);
}

/// Any single byte of the file: either the events are whole all the same, or the report names where
/// they are not. Offsets are drawn from a fixed seed; the header is tried byte by byte.
#[tokio::test]
async fn any_flipped_byte_is_harmless_or_found() {
    let folder = closed(220).await;
    let log = folder.path().join("log.db");
    let original = fs::read(&log).unwrap();
    let whole = events(folder.path()).await.unwrap();
    let mut state = 0x5eed_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    let header = (0..100).map(|offset| (offset, 1 << (offset % 8)));
    let anywhere: Vec<_> =
        (0..400).map(|_| (random() % original.len(), 1 << (random() % 8))).collect();
    let mut found = 0;
    for (offset, bit) in header.chain(anywhere) {
        let mut bytes = original.clone();
        bytes[offset] ^= bit;
        fs::write(&log, &bytes).unwrap();
        let report = verify(folder.path()).await;
        let place = format!("byte {offset}, page {}: {:?}", offset / 8_192 + 1, report.fault);
        match report.fault {
            None => assert_eq!(events(folder.path()).await.as_ref(), Some(&whole), "{place}"),
            Some(VerifyFault { batch, page, last_good_position, .. }) => {
                found += 1;
                assert!(batch.is_some() || page.is_some(), "{place}");
                assert!(last_good_position <= whole.len() as u64, "{place}");
                assert!(page != Some(1) || last_good_position == 0, "{place}");
            }
        }
    }
    assert!(found > 350, "only {found} of 500 flips were found");
    fs::write(&log, &original).unwrap();
    assert_whole(folder.path()).await;
}

/// Changes rows past the triggers that keep them, as somebody with an editor could.
fn tamper(folder: &Path, table: &str, sql: &str) {
    tamper_with(folder, table, &[sql]);
}

/// The same in several steps, each of which changes one row.
fn tamper_with(folder: &Path, table: &str, steps: &[&str]) {
    let connection = Connection::open(folder.join("log.db")).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1")
        .unwrap()
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    for step in steps {
        assert_eq!(connection.execute(step, []).unwrap(), 1, "{step}");
    }
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

async fn tampered(table: &str, sql: &str) -> VerifyReport {
    let folder = closed(40).await;
    tamper(folder.path(), table, sql);
    verify(folder.path()).await
}

/// Batch 20 holds positions 56 to 60 (the batches have 1, 2, 3, 4, 5, 1, … events).
#[tokio::test]
async fn a_changed_event_names_its_batch() {
    let changes = [
        "stream_id = stream_id + 1000",
        "version = version + 1000",
        "type_id = type_id + 1",
        "schema_version = 2",
        "context_id = context_id + 1",
        "occurred_at = occurred_at + 1",
        "id = zeroblob(16)",
        "id = x'00'",
        "correlation = zeroblob(16)",
        "causation = zeroblob(16)",
        "sealing_key = zeroblob(16)",
        "leaf = zeroblob(32)",
        "payload = CAST(payload || x'00' AS BLOB)",
    ];
    for change in changes {
        let sql = format!("UPDATE event SET {change} WHERE position = 58");
        let fault = tampered("event", &sql).await.fault.unwrap();
        assert_eq!((fault.batch, fault.last_good_position), (Some(20), 55), "{change}: {fault:?}");
    }
}

#[tokio::test]
async fn a_missing_event_names_its_batch() {
    let fault = tampered("event", "DELETE FROM event WHERE position = 58").await.fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(20), 55), "{fault:?}");
    let last = "DELETE FROM event WHERE position = (SELECT max(position) FROM event)";
    let fault = tampered("event", last).await.fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(40), 115), "{fault:?}");
}

/// Two events of one batch, one batch's event and the next one's, and two events that only their
/// places were taken from.
#[tokio::test]
async fn events_in_another_order_name_the_first_batch() {
    for (one, other, batch, good) in [(57, 58, 20, 55), (60, 61, 20, 55), (61, 100, 21, 60)] {
        let folder = closed(40).await;
        let swap = [
            format!("UPDATE event SET position = 0 WHERE position = {one}"),
            format!("UPDATE event SET position = {one} WHERE position = {other}"),
            format!("UPDATE event SET position = {other} WHERE position = 0"),
        ];
        tamper_with(folder.path(), "event", &swap.each_ref().map(String::as_str));
        let fault = verify(folder.path()).await.fault.unwrap();
        assert_eq!((fault.batch, fault.last_good_position), (Some(batch), good), "{fault:?}");
    }
}

/// A log whose end is gone without a trace is whole; only what was witnessed of it says that there
/// was more.
#[tokio::test]
async fn a_tail_that_was_cut_off_is_known_to_whoever_saw_it() {
    let (longer, shorter) = (closed(40).await, closed(38).await);
    let head = reader(longer.path()).unwrap().events().head().await.unwrap();
    assert_whole(shorter.path()).await;
    let verifier = flexcore_store_sqlite::SqliteLogVerifier::new(shorter.path());
    let fault = verifier.verify(&[head]).await.unwrap().fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(39), 111), "{fault:?}");
    assert!(fault.reason.contains("cut off"), "{}", fault.reason);
    let verifier = flexcore_store_sqlite::SqliteLogVerifier::new(longer.path());
    assert_eq!(verifier.verify(&[head]).await.unwrap().fault, None);
}

#[tokio::test]
async fn a_changed_batch_is_named() {
    let changes = [
        // A fence, which no write of these batches had.
        "writes = CAST(substr(writes, 1, length(writes) - 1) || x'01' AS BLOB)",
        "number = 99",
        "first_position = 57",
        "last_position = 59",
        "committed_at = committed_at + 1",
        "committed_at = committed_at - 1",
        "writes = x'0101'",
        "writes = x''",
        "root = zeroblob(32)",
        "hash = zeroblob(32)",
        "hash = x'00'",
    ];
    for change in changes {
        let sql = format!("UPDATE batch SET {change} WHERE number = 20");
        let fault = tampered("batch", &sql).await.fault.unwrap();
        assert_eq!((fault.batch, fault.last_good_position), (Some(20), 55), "{change}: {fault:?}");
    }
    let fault = tampered("batch", "DELETE FROM batch WHERE number = 40").await.fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(40), 115), "{fault:?}");
}

/// A stream's end is a fault of the batch that wrote the stream last: stream 3 is written by
/// batches 3, 10, 17, 24, 31 and 38.
#[tokio::test]
async fn a_changed_stream_head_names_the_batch_that_wrote_it() {
    for change in
        ["version = version + 1", "head = zeroblob(32)", "head = x'00'", "owner_epoch = 1"]
    {
        let sql = format!("UPDATE stream SET {change} WHERE id = 3");
        let fault = tampered("stream", &sql).await.fault.unwrap();
        assert_eq!((fault.batch, fault.last_good_position), (Some(38), 108), "{change}: {fault:?}");
    }
    let renamed = "UPDATE stream SET name = name || 'x' WHERE id = 3";
    let fault = tampered("stream", renamed).await.fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(3), 3), "{fault:?}");
}

#[tokio::test]
async fn changed_names_and_marks_are_found() {
    let changes = [
        ("event_type", "UPDATE event_type SET name = 'Withdrawn'"),
        ("context", "UPDATE context SET actor = 'nobody'"),
        ("meta", "UPDATE meta SET value = value - 1"),
        ("meta", "DELETE FROM meta"),
        ("stream", "INSERT INTO stream VALUES (99, 'a/b/c', 0, zeroblob(32), 0)"),
    ];
    for (table, sql) in changes {
        let report = tampered(table, sql).await;
        assert!(report.fault.is_some(), "{sql}");
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// Folds everything into the views, as far as their checkpoint tells.
async fn catch_up(store: &SqliteStore) {
    let head = store.events().head().await.unwrap();
    let checkpoint = Checkpoint { position: head.position, hash: head.hash };
    fold_at(&*store.views(), checkpoint, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_views_is_reported_and_not_opened() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 10).await;
    store.close().await.unwrap();
    let older = fs::read(folder.path().join("log.db")).unwrap();
    let store = writer(folder.path()).unwrap();
    let append = flexcore_eventsourcing::Append::to(
        flexcore_testkit::stream("late"),
        0,
        vec![flexcore_testkit::event(5_000)],
    );
    store.events().append(append).await.unwrap();
    catch_up(&store).await;
    store.close().await.unwrap();
    assert_whole(folder.path()).await;

    fs::write(folder.path().join("log.db"), older).unwrap();
    let fault = verify(folder.path()).await.fault.unwrap();
    assert_eq!((fault.batch, fault.last_good_position), (Some(11), 30));
    assert!(fault.reason.contains("truncated"), "{}", fault.reason);
    let refused = writer(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::LogBehindViews { .. }), "{refused}");
    assert!(reader(folder.path()).is_ok(), "what is left can still be read");
}

#[tokio::test]
async fn a_flipped_byte_in_the_wal_after_a_kill_is_proven_by_the_views() {
    let folder = folder();
    let store = writer(folder.path()).unwrap();
    fill(&store, 60).await;
    catch_up(&store).await;
    // What a kill leaves: the files as they are, with everything still in the WAL.
    let killed = crate::support::folder();
    copy(folder.path(), killed.path());
    assert_eq!(assert_whole(killed.path()).await.batches, 60);
    let wal = killed.path().join("log.db-wal");
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for file in ["log.db-shm", "views-1.db-shm"] {
        let _ = fs::remove_file(killed.path().join(file));
    }
    fs::write(&wal, bytes).unwrap();
    let report = verify(killed.path()).await;
    let fault = report.fault.unwrap();
    assert!(report.batches < 60);
    assert_eq!(fault.batch, Some(report.batches + 1), "{fault:?}");
    assert!(fault.reason.contains("truncated"), "{}", fault.reason);
}

#[tokio::test]
async fn statistics_count_what_is_there() {
    let folder = closed(50).await;
    let counts = flexcore_store_sqlite::SqliteLogVerifier::new(folder.path());
    let counts = counts.statistics().await.unwrap();
    assert_eq!((counts.head.position, counts.head.batch, counts.streams), (150, 50, 7));
    assert_eq!(counts.types, [("Deposited".to_owned(), 150)]);
    assert_eq!(counts.first_committed_at, counts.last_committed_at);
}
