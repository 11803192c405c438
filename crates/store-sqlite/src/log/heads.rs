//! The exact end of each stream, in the writer's memory.

use std::collections::HashMap;

use flexcore_eventsourcing::{Epoch, Hash, StreamName, stream_head};
use rusqlite::Result;

use super::statements::Statements;

/// How many streams the writer keeps in memory, about 200 bytes each.
const CAPACITY: usize = 50_000;

/// The end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The row id in `stream`; `None` for a stream that has no row yet.
    pub(crate) id: Option<i64>,
    /// How many events it has.
    pub(crate) version: u64,
    /// Its head hash.
    pub(crate) hash: Hash,
    /// Its owner's epoch.
    pub(crate) owner: Epoch,
    /// Whether the row in `stream` is older than this.
    dirty: bool,
}

impl Head {
    const NEW: Self =
        Self { id: None, version: 0, hash: Hash::ZERO, owner: Epoch(0), dirty: false };

    /// This end after a write that was accepted with `fence`.
    pub(crate) fn followed_by(self, id: i64, leaves: &[Hash], fence: Option<Epoch>) -> Self {
        Self {
            id: Some(id),
            version: self.version + leaves.len() as u64,
            hash: stream_head(self.hash, leaves),
            owner: self.owner.max(fence.unwrap_or_default()),
            dirty: true,
        }
    }
}

/// The exact ends of the streams that were used lately.
///
/// The holder of the store's lock is the only writer, so what stands here is the truth, and rows
/// of `stream` need not be written with every batch: [`Heads::flush`] writes them now and then,
/// and `roll_forward` finds the rest in the log when the store opens after a crash.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    known: HashMap<StreamName, Head>,
    /// What stood here before the open transaction, in the order of its changes.
    before: Vec<(StreamName, Head)>,
}

impl Heads {
    /// The end of a stream, that of an empty one if it was never written.
    pub(crate) fn get(&mut self, rows: &mut Statements<'_>, name: &StreamName) -> Result<Head> {
        if let Some(head) = self.known.get(name) {
            return Ok(*head);
        }
        let head = match rows.find_stream(name.as_str())? {
            Some((id, version, hash, owner)) => {
                Head { id: Some(id), version, hash, owner, dirty: false }
            }
            None => Head::NEW,
        };
        self.known.insert(name.clone(), head);
        Ok(head)
    }

    /// Changes the end of a stream that [`Heads::get`] gave, until [`Heads::roll_back`].
    pub(crate) fn set(&mut self, name: &StreamName, head: Head) {
        if let Some(before) = self.known.insert(name.clone(), head) {
            self.before.push((name.clone(), before));
        }
    }

    /// The transaction was committed.
    pub(crate) fn keep(&mut self) {
        self.before.clear();
    }

    /// The transaction was rolled back: everything is as it was before.
    pub(crate) fn roll_back(&mut self) {
        for (name, head) in self.before.drain(..).rev() {
            self.known.insert(name, head);
        }
    }

    /// Whether it is time to flush and shrink.
    pub(crate) fn is_large(&self) -> bool {
        self.known.len() > CAPACITY
    }

    /// Writes what rows of `stream` do not say yet, in a transaction of its own. `position` is the
    /// log's last.
    pub(crate) fn flush(&mut self, rows: &mut Statements<'_>, position: u64) -> Result<()> {
        if self.known.values().any(|head| head.dirty) {
            rows.begin()?;
            if let Err(error) = self.write(rows, position).and_then(|()| rows.commit()) {
                // A rollback that fails as well leaves nothing to undo: SQLite already has.
                let _ = rows.rollback();
                return Err(error);
            }
        }
        self.known.values_mut().for_each(|head| head.dirty = false);
        Ok(())
    }

    fn write(&self, rows: &mut Statements<'_>, position: u64) -> Result<()> {
        for head in self.known.values().filter(|head| head.dirty) {
            if let Some(id) = head.id {
                rows.update_stream((id, head.version, head.hash, head.owner))?;
            }
        }
        rows.mark_heads(position)
    }

    /// Forgets half of the streams; only after [`Heads::flush`].
    pub(crate) fn shrink(&mut self) {
        let mut keep = false;
        self.known.retain(|_, head| {
            keep = !keep;
            keep || head.dirty
        });
    }
}
