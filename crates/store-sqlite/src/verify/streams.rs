//! The ends of streams: as stored, and as the log has them.

use std::collections::HashMap;

use flexcore_event_codec::StoredWrite;
use flexcore_eventsourcing::{Epoch, Hash, StreamName, stream_head};
use rusqlite::{Connection, Result, Row};

use super::fault::Fault;
use crate::log::integer;

/// A stream's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    version: u64,
    head: Hash,
    owner: Epoch,
}

impl End {
    const NEW: Self = Self { version: 0, head: Hash::ZERO, owner: Epoch(0) };
}

/// A stream while the log is scanned.
#[derive(Debug)]
struct Stream {
    name: StreamName,
    /// What its row says; `None` if that cannot be read.
    stored: Option<End>,
    /// What the log says so far.
    end: End,
    /// The batch that wrote it last, and the position before that batch.
    last_batch: Option<(u64, u64)>,
}

/// All streams, by id.
#[derive(Debug)]
pub(crate) struct Streams {
    by_id: HashMap<i64, Stream>,
}

impl Streams {
    /// Loads what can be read. A stream that cannot is missed by the first batch that writes it.
    pub(crate) fn load(connection: &Connection) -> Result<Self> {
        let mut by_id = HashMap::new();
        let mut statement =
            connection.prepare("SELECT id, name, version, head, owner_epoch FROM stream")?;
        let mut rows = statement.query([])?;
        while let Ok(Some(row)) = rows.next() {
            let name = row.get::<_, String>(1).ok().and_then(|name| name.parse().ok());
            if let (Some(id), Some(name)) = (integer(row, 0), name) {
                let stream = Stream { name, stored: end(row), end: End::NEW, last_batch: None };
                by_id.insert(id, stream);
            }
        }
        Ok(Self { by_id })
    }

    pub(crate) fn count(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub(crate) fn name(&self, id: i64) -> Option<&StreamName> {
        self.by_id.get(&id).map(|stream| &stream.name)
    }

    /// Adds a write of `batch`, which follows position `before`.
    ///
    /// # Errors
    /// What about the write does not follow from the stream.
    pub(crate) fn add(
        &mut self,
        write: &StoredWrite,
        leaves: &[Hash],
        (batch, before): (u64, u64),
    ) -> std::result::Result<(), String> {
        let stream = self.by_id.get_mut(&write.stream_id).ok_or("it names an unknown stream")?;
        let Stream { name, end, .. } = stream;
        if write.first_version != end.version + 1 {
            let (first, last) = (write.first_version, end.version);
            return Err(format!("it writes version {first} of {name}, which ends at {last}"));
        }
        if let Some(fence) = write.fence {
            if fence < end.owner {
                let owner = end.owner;
                return Err(format!("it has epoch {fence} on {name}, which belongs to {owner}"));
            }
            end.owner = fence;
        }
        end.version += u64::from(write.count);
        end.head = stream_head(end.head, leaves);
        stream.last_batch = Some((batch, before));
        Ok(())
    }

    /// Compares every row with the log so far, of which `end` is the last batch and position.
    /// What differs is a fault of the batch that wrote the stream last.
    pub(crate) fn compare(&self, end: (u64, u64)) -> Option<Fault> {
        let differing = self.by_id.values().filter(|stream| stream.stored != Some(stream.end));
        let at = |stream: &Stream| stream.last_batch.unwrap_or(end);
        differing.min_by_key(|stream| at(stream)).map(|stream| {
            let (batch, last_good_position) = at(stream);
            let name = &stream.name;
            let reason = format!("the stored end of {name} is not the one that its events have");
            Fault::in_batch(batch, last_good_position, reason)
        })
    }

    /// A stream that no batch ever wrote.
    pub(crate) fn never_written(&self) -> Option<&StreamName> {
        self.by_id.values().find(|stream| stream.last_batch.is_none()).map(|stream| &stream.name)
    }
}

fn end(row: &Row<'_>) -> Option<End> {
    Some(End {
        version: integer(row, 2)?,
        head: Hash(row.get(3).ok()?),
        owner: Epoch(integer(row, 4)?),
    })
}
