//! The other side: the same rows into the same tables, by one prepared statement and nothing else.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::Clock;
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use rusqlite::{Connection, Statement};

use super::workload::{STREAMS, Shape, event_id, occurred_at, payload, stream_of};

/// How far the write-ahead log may grow before it goes into the main file, as in the store.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// A file and how far it was filled.
pub(crate) struct Bare {
    connection: Connection,
    versions: Vec<i64>,
    events: u64,
    written: u64,
    folder: PathBuf,
}

impl Bare {
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        // The store itself creates the file, so that tables and indexes are its very own.
        let mode = OpenMode::Writer { purpose: "benchmark".to_owned() };
        drop(SqliteStore::open(folder, mode, Arc::new(Standing))?);
        let connection = Connection::open(folder.join("log.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(Self {
            connection,
            versions: vec![0; STREAMS],
            events: 0,
            written: 0,
            folder: folder.to_owned(),
        })
    }

    /// Inserts a slice and gives how long that took.
    pub(crate) fn slice(&mut self, shape: Shape) -> anyhow::Result<Duration> {
        let Self { connection, versions, events, written, .. } = self;
        let mut insert =
            connection.prepare("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)")?;
        let (mut begin, mut commit) =
            (connection.prepare("BEGIN IMMEDIATE")?, connection.prepare("COMMIT")?);
        let mut pages = connection.prepare("PRAGMA wal_checkpoint(NOOP)")?;
        let start = Instant::now();
        let mut open = 0;
        for append in 0..shape.appends {
            let stream = stream_of(append, shape.callers);
            for _ in 0..shape.events {
                if open == 0 {
                    begin.execute([])?;
                }
                versions[stream] += 1;
                insert_event(&mut insert, *events, stream, versions[stream])?;
                *events += 1;
                open += 1;
                if open == shape.group {
                    commit.execute([])?;
                    *written += 1;
                    open = 0;
                    // Looked at now and then only, as it costs a little.
                    if (*written).is_multiple_of(64) || shape.group > 64 {
                        let pages: u64 =
                            pages.query_row([], |row| row.get(1).map(i64::unsigned_abs))?;
                        if pages * 8_192 >= CHECKPOINT_BYTES {
                            connection
                                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
                        }
                    }
                }
            }
        }
        if open > 0 {
            commit.execute([])?;
        }
        Ok(start.elapsed())
    }

    /// Moves everything into the main file and gives its folder.
    pub(crate) fn close(self) -> anyhow::Result<PathBuf> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(self.folder)
    }
}

fn insert_event(
    insert: &mut Statement<'_>,
    number: u64,
    stream: usize,
    version: i64,
) -> rusqlite::Result<()> {
    insert.raw_bind_parameter(1, number.cast_signed() + 1)?;
    insert.raw_bind_parameter(2, stream + 1)?;
    insert.raw_bind_parameter(3, version)?;
    insert.raw_bind_parameter(4, 1)?;
    insert.raw_bind_parameter(5, 1)?;
    insert.raw_bind_parameter(6, 1)?;
    insert.raw_bind_parameter(7, occurred_at(number).as_micros())?;
    insert.raw_bind_parameter(8, event_id(number).0.as_bytes().as_slice())?;
    insert.raw_bind_parameter(9, None::<&[u8]>)?;
    insert.raw_bind_parameter(10, None::<&[u8]>)?;
    insert.raw_bind_parameter(11, None::<&[u8]>)?;
    insert.raw_bind_parameter(12, [0x5a; 32].as_slice())?;
    insert.raw_bind_parameter(13, payload(number).as_slice())?;
    insert.raw_execute().map(drop)
}

/// A clock for a store that is only created.
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}
