//! When the write-ahead log goes into the main file.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rusqlite::{Connection, Result, hooks::Wal};

use crate::connection::PAGE_SIZE;

/// How much the WAL grows between two attempts to move it into the main file.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// The WAL's size at which it is also cut, as soon as nobody waits: so far it only grows if long
/// reads keep it from starting over.
const TRUNCATE_BYTES: u64 = 512 << 20;

/// How a checkpoint treats readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// Moves what no reader holds back.
    Passive,
    /// Waits for readers, then empties the WAL.
    Truncate,
}

/// How large the WAL is, as SQLite tells after each commit.
#[derive(Debug)]
pub(crate) struct WalSize {
    bytes: Arc<AtomicU64>,
    /// Its size when a checkpoint was last tried.
    tried_at: u64,
}

impl WalSize {
    /// Begins to watch the WAL of a connection.
    pub(crate) fn watch(connection: &mut Connection) -> Result<Self> {
        // SQLite must not checkpoint on its own, amid a commit that somebody waits for. This also
        // takes the hook's place, so it comes first.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&bytes);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            let pages = u64::try_from(pages).unwrap_or(0);
            seen.store(pages * u64::from(PAGE_SIZE), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { bytes, tried_at: 0 })
    }

    /// Which checkpoint is due.
    pub(crate) fn due(&mut self, idle: bool) -> Option<Checkpoint> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes < self.tried_at {
            // It started over.
            self.tried_at = 0;
        }
        if bytes < self.tried_at + CHECKPOINT_BYTES {
            return None;
        }
        let cut = idle && bytes >= TRUNCATE_BYTES;
        Some(if cut { Checkpoint::Truncate } else { Checkpoint::Passive })
    }

    /// Runs a checkpoint. That readers keep it from finishing is not an error: the next one goes
    /// on where it stopped.
    pub(crate) fn checkpoint(&mut self, connection: &Connection, kind: Checkpoint) -> Result<()> {
        let sql = match kind {
            Checkpoint::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Checkpoint::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        self.tried_at = self.bytes.load(Ordering::Relaxed);
        connection.query_row(sql, [], |_| Ok(()))
    }
}
