//! One group commit: appends that are checked and written one by one and become durable together.

use flexcore_event_codec::{StoredWrite, encode_write};
use flexcore_eventsourcing::{
    Append, BatchHeader, BatchWrite, Epoch, Hash, StreamName, StreamWrite, Timestamp, batch_hash,
    leaves_root,
};
use flexcore_ports::{AppendError, Appended, LogHead};
use rusqlite::Result;

use super::{
    heads::{Head, Heads},
    interned::Interned,
    request::{Answer, Prepared, Reply},
    statements::{BatchRow, EventPlace, Statements},
};

/// The most appends in a group.
const MAX_APPENDS: usize = 2_000;
/// A group takes no further append once it has so many payload bytes.
const MAX_BYTES: usize = 1 << 20;
/// A group takes no further append once it has so many events.
const MAX_EVENTS: usize = 10_000;

/// The end of the log, as the writer needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// What ports know of it.
    pub(crate) head: LogHead,
    /// When the last batch was committed.
    pub(crate) committed_at: Timestamp,
}

/// What one append came to.
pub(crate) type Outcome = std::result::Result<Appended, AppendError>;

/// A group that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Who waits for which answer. Refusals wait as well: they may rest on what the group wrote.
    pub(crate) answers: Vec<(Reply, Answer)>,
    in_transaction: bool,
    bytes: usize,
    writes: Vec<BatchWrite>,
    stored_writes: Vec<u8>,
    leaves: Vec<Hash>,
}

impl Group {
    /// How many events it adds to the log.
    pub(crate) fn event_count(&self) -> usize {
        self.leaves.len()
    }

    /// Whether it is to be committed before anything else is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.answers.len() >= MAX_APPENDS
            || self.bytes >= MAX_BYTES
            || self.leaves.len() >= MAX_EVENTS
    }
}

/// The log as the writer sees it: rows, and in memory what it need not read.
#[derive(Debug)]
pub(crate) struct Log<'c> {
    pub(crate) rows: Statements<'c>,
    pub(crate) heads: Heads,
    pub(crate) interned: Interned,
    pub(crate) end: LogEnd,
}

impl Log<'_> {
    /// Checks an append and, if it is accepted, writes its rows into the group's transaction.
    ///
    /// # Errors
    /// Only if the file fails: then nothing of the group holds. A refusal is an outcome.
    pub(crate) fn take(&mut self, prepared: &Prepared, group: &mut Group) -> Result<Outcome> {
        match self.check(&prepared.append)? {
            Ok(()) => self.write(prepared, group).map(Ok),
            Err(refusal) => Ok(self.find_stored(prepared)?.map_or(Err(refusal), |found| found)),
        }
    }

    /// Makes the group durable. A group that wrote nothing leaves no trace.
    pub(crate) fn commit(&mut self, group: &mut Group, now: Timestamp) -> Result<()> {
        if !group.in_transaction {
            return Ok(());
        }
        let first_position = self.end.head.position + 1;
        let header = BatchHeader {
            first_position,
            last_position: self.end.head.position + group.leaves.len() as u64,
            committed_at: now.max(self.end.committed_at),
            writes: std::mem::take(&mut group.writes),
            root: leaves_root(&group.leaves),
        };
        let head = LogHead {
            position: header.last_position,
            batch: self.end.head.batch + 1,
            hash: batch_hash(self.end.head.hash, &header),
        };
        self.rows.insert_batch(&BatchRow {
            number: head.batch,
            first_position,
            last_position: header.last_position,
            committed_at: header.committed_at,
            writes: &group.stored_writes,
            root: header.root,
            hash: head.hash,
        })?;
        self.rows.commit()?;
        self.heads.keep();
        self.interned.keep();
        self.end = LogEnd { head, committed_at: header.committed_at };
        Ok(())
    }

    /// Undoes the group, on disk and in memory.
    pub(crate) fn roll_back(&mut self, group: &Group) {
        if group.in_transaction {
            // SQLite has rolled back already after most errors; then this one says so.
            let _ = self.rows.rollback();
        }
        self.heads.roll_back();
        self.interned.roll_back();
    }

    /// Whether versions and fences allow the append.
    fn check(&mut self, append: &Append) -> Result<std::result::Result<(), AppendError>> {
        let mut ends: Vec<(u64, Epoch)> = Vec::with_capacity(append.writes.len());
        for (index, write) in append.writes.iter().enumerate() {
            // An append may write one stream more than once.
            let earlier = append.writes[..index].iter().rposition(|w| w.stream == write.stream);
            let (version, owner) = match earlier {
                Some(earlier) => ends[earlier],
                None => {
                    self.heads.get(&mut self.rows, &write.stream).map(|h| (h.version, h.owner))?
                }
            };
            if let Some(refusal) = refusal(write, version, owner) {
                return Ok(Err(refusal));
            }
            // A guard leaves no trace: neither version nor owner changes.
            ends.push(match write.events.len() {
                0 => (version, owner),
                count => (version + count as u64, owner.max(write.fence.unwrap_or_default())),
            });
        }
        Ok(Ok(()))
    }

    fn write(&mut self, prepared: &Prepared, group: &mut Group) -> Result<Appended> {
        let mut leaves = prepared.leaves.as_slice();
        let mut last_position = 0;
        for write in prepared.append.writes.iter().filter(|write| !write.events.is_empty()) {
            if !group.in_transaction {
                self.rows.begin()?;
                group.in_transaction = true;
            }
            let (own, rest) = leaves.split_at(write.events.len());
            leaves = rest;
            self.write_stream(write, own, group)?;
            last_position = self.end.head.position + group.leaves.len() as u64;
        }
        group.bytes += prepared.bytes;
        Ok(Appended { last_position, repeated: false })
    }

    fn write_stream(
        &mut self,
        write: &StreamWrite,
        leaves: &[Hash],
        group: &mut Group,
    ) -> Result<()> {
        let head = self.heads.get(&mut self.rows, &write.stream)?;
        let stream_id = match head.id {
            Some(id) => id,
            None => self.rows.insert_stream(write.stream.as_str())?,
        };
        let first_position = self.end.head.position + group.leaves.len() as u64 + 1;
        for ((event, leaf), offset) in write.events.iter().zip(leaves).zip(0..) {
            let place = EventPlace {
                position: first_position + offset,
                stream_id,
                version: head.version + 1 + offset,
                type_id: self.interned.type_id(&mut self.rows, &event.type_name)?,
                context_id: self.interned.context_id(&mut self.rows, &event.context)?,
                leaf: *leaf,
            };
            self.rows.insert_event(place, event)?;
        }
        group.add(write, stream_id, head, leaves);
        self.heads.set(&write.stream, head.followed_by(stream_id, leaves, write.fence));
        Ok(())
    }

    /// The outcome of a repeated append whose events all stand where it wants them; `None` if they
    /// do not.
    fn find_stored(&mut self, prepared: &Prepared) -> Result<Option<Outcome>> {
        let mut leaves = prepared.leaves.iter();
        let mut last_position = None;
        for write in prepared.append.writes.iter().filter(|write| !write.events.is_empty()) {
            let head = self.heads.get(&mut self.rows, &write.stream)?;
            let (Some(stream_id), true) =
                (head.id, head.version >= write.expected + write.events.len() as u64)
            else {
                return Ok(None);
            };
            for ((event, leaf), version) in
                write.events.iter().zip(leaves.by_ref()).zip(write.expected + 1..)
            {
                match self.rows.stored(stream_id, version)? {
                    Some((position, id, stored)) if id == *event.id.0.as_bytes() => {
                        if stored != leaf.0 {
                            return Ok(Some(Err(reused(&write.stream, event.id))));
                        }
                        last_position = Some(position);
                    }
                    _ => return Ok(None),
                }
            }
        }
        Ok(last_position.map(|last_position| Ok(Appended { last_position, repeated: true })))
    }
}

impl Group {
    fn add(&mut self, write: &StreamWrite, stream_id: i64, before: Head, leaves: &[Hash]) {
        let first_version = before.version + 1;
        // `Prepared` holds an append to far fewer events than u32::MAX.
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        let stored = StoredWrite { stream_id, first_version, count, fence: write.fence };
        encode_write(&stored, &mut self.stored_writes);
        let stream = write.stream.clone();
        self.writes.push(BatchWrite { stream, first_version, count, fence: write.fence });
        self.leaves.extend_from_slice(leaves);
    }
}

fn refusal(write: &StreamWrite, version: u64, owner: Epoch) -> Option<AppendError> {
    let stream = || write.stream.clone();
    // First the fence: whoever lost a stream must not be told to read it and try again.
    if let Some(fence) = write.fence.filter(|fence| *fence < owner) {
        return Some(AppendError::Fenced { stream: stream(), fence, owner });
    }
    (version != write.expected).then(|| AppendError::Conflict {
        stream: stream(),
        expected: write.expected,
        actual: version,
    })
}

fn reused(stream: &StreamName, id: flexcore_eventsourcing::EventId) -> AppendError {
    AppendError::Invalid(format!(
        "event {id} is in {stream} already, with other content; an id belongs to one event for ever"
    ))
}
