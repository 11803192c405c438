use std::sync::Mutex;

use async_trait::async_trait;
use flexcore_eventsourcing::{
    Append, EventContext, EventData, EventId, Hash, StreamName, Timestamp,
};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::log_checkpoint::LogCheckpoint;

struct NoTime;

impl Clock for NoTime {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

/// Keeps what it is given, and fails when it is told to.
#[derive(Default)]
struct Shelf {
    notes: Mutex<Vec<String>>,
    is_full: Mutex<bool>,
}

#[async_trait]
impl CheckpointSink for Shelf {
    async fn write(&self, note: &str) -> Result<(), StorageError> {
        if *self.is_full.lock().unwrap() {
            let (path, reason) = ("shelf".to_owned(), "it is full".to_owned());
            return Err(StorageError { operation: "write", path, reason });
        }
        self.notes.lock().unwrap().push(note.to_owned());
        Ok(())
    }
}

struct Bench {
    store: SqliteStore,
    shelf: Arc<Shelf>,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = OpenMode::Writer { purpose: "test".to_owned() };
        let store = SqliteStore::open(folder.path(), mode, Arc::new(NoTime)).unwrap();
        Self { store, shelf: Arc::default(), _folder: folder }
    }

    fn exporter(&self) -> CheckpointExporter {
        let key = CheckpointKey::from_seed("test", &[1; 32]).unwrap();
        let events = self.store.events();
        CheckpointExporter::new(events, Arc::new(NoTime), key, self.shelf.clone())
    }

    async fn add(&self, n: u64) {
        let event = EventData {
            id: EventId(Uuid::from_u128(u128::from(n) + 1)),
            type_name: "Noted".into(),
            schema_version: 1,
            occurred_at: Timestamp::EPOCH,
            context: EventContext::json("default", "tester"),
            payload: vec![],
        };
        let stream = StreamName::new("default", "note", ["one"]).unwrap();
        self.store.events().append(Append::to(stream, n, vec![event])).await.unwrap();
    }

    fn checkpoints(&self) -> Vec<LogCheckpoint> {
        let key = CheckpointKey::from_seed("test", &[1; 32]).unwrap().public();
        let notes = self.shelf.notes.lock().unwrap();
        notes.iter().map(|note| LogCheckpoint::open(note, &key).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_checkpoint_is_exported_once_for_each_end_of_the_log() {
    let bench = Bench::new();
    let mut exporter = bench.exporter();
    assert!(!exporter.export().await.unwrap(), "an empty log has no checkpoint");
    bench.add(0).await;
    assert!(exporter.export().await.unwrap());
    assert!(!exporter.export().await.unwrap());
    bench.add(1).await;
    bench.add(2).await;
    assert!(exporter.export().await.unwrap());
    let checkpoints = bench.checkpoints();
    let positions: Vec<u64> = checkpoints.iter().map(|found| found.head.position).collect();
    assert_eq!(positions, [1, 3]);
    assert!(checkpoints[0].log == checkpoints[1].log && checkpoints[0].log != Hash::ZERO);
    assert_eq!(checkpoints[1].head, bench.store.events().head().await.unwrap());
}

#[tokio::test]
async fn what_a_sink_did_not_take_is_handed_over_again() {
    let bench = Bench::new();
    let mut exporter = bench.exporter();
    bench.add(0).await;
    *bench.shelf.is_full.lock().unwrap() = true;
    let error = exporter.export().await.unwrap_err().to_string();
    assert_eq!(error, "the checkpoint could not be exported: cannot write shelf: it is full");
    *bench.shelf.is_full.lock().unwrap() = false;
    assert!(exporter.export().await.unwrap());
    assert_eq!(bench.checkpoints().len(), 1);
}

#[tokio::test]
async fn the_end_is_exported_when_it_is_told_to_end() {
    let bench = Bench::new();
    let end = CancellationToken::new();
    bench.add(0).await;
    end.cancel();
    bench.exporter().run(Duration::from_hours(1), end).await;
    assert_eq!(bench.checkpoints().len(), 1);
}
