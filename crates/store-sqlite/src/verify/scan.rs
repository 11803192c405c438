//! The scan: batches and events in order, everything recomputed.

use flexcore_event_codec::{StoredWrite, decode_writes};
use flexcore_eventsourcing::{
    BatchHeader, BatchWrite, Hash, Timestamp, batch_hash, leaf_hash, leaves_root,
};
use flexcore_ports::{LogHead, WitnessedHeads};
use rusqlite::{Connection, OptionalExtension, Result, Row, Rows};

use super::{
    fault::Fault,
    indexes::{IndexSum, Indexed},
    pages::root_page,
    streams::Streams,
    texts::Texts,
};
use crate::{
    error::reason,
    log::{COLUMNS, EventRow, HEADS_THROUGH, blob, integer},
};

/// What the scan came to.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// The end of what was proven.
    pub(crate) head: LogHead,
    /// How many streams there are.
    pub(crate) streams: u64,
    /// What the indexes must hold.
    pub(crate) by_stream: IndexSum,
    /// The same by type.
    pub(crate) by_type: IndexSum,
    /// The first thing that does not hold.
    pub(crate) fault: Option<Fault>,
}

impl Scanned {
    /// Nothing could be read.
    pub(crate) fn unreadable(reason: &str) -> Self {
        let fault = Fault::on_page(1, 0, reason);
        Self { fault: Some(fault), ..Self::new() }
    }

    fn new() -> Self {
        Self {
            head: LogHead { position: 0, batch: 0, hash: Hash::ZERO },
            streams: 0,
            by_stream: IndexSum::default(),
            by_type: IndexSum::default(),
            fault: None,
        }
    }
}

/// A row of `batch`, decoded.
struct StoredBatch {
    number: u64,
    header: BatchHeader,
    writes: Vec<StoredWrite>,
    hash: Hash,
}

struct Scan {
    scanned: Scanned,
    streams: Streams,
    texts: Texts,
    committed_at: Timestamp,
    heads_through: u64,
    heads_compared: bool,
    witnessed: WitnessedHeads,
}

/// Scans the log. Faults are part of the result.
///
/// # Errors
/// Only if a statement cannot even be prepared.
pub(crate) fn scan(connection: &Connection, witnessed: WitnessedHeads) -> Result<Scanned> {
    let mut batches = connection.prepare(
        "SELECT last_position, number, first_position, committed_at, writes, root, hash \
         FROM batch ORDER BY last_position",
    )?;
    let mut events =
        connection.prepare(&format!("SELECT {COLUMNS} FROM event ORDER BY position"))?;
    let heads_through = connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [HEADS_THROUGH], |row| row.get(0))
        .optional()?;
    let mut scan = Scan {
        scanned: Scanned::new(),
        streams: Streams::load(connection)?,
        texts: Texts::load(connection)?,
        committed_at: Timestamp::from_micros(i64::MIN),
        // Beyond the end of any log: then the end is never met, and that is a fault.
        heads_through: heads_through.unwrap_or(u64::MAX),
        heads_compared: false,
        witnessed,
    };
    let found = scan.run(&mut batches.query([])?, &mut events.query([])?);
    scan.scanned.fault = found.err();
    if scan.scanned.fault.is_none() {
        scan.scanned.fault = scan.after_the_end(connection)?;
    }
    scan.scanned.streams = scan.streams.count();
    Ok(scan.scanned)
}

impl Scan {
    fn run(
        &mut self,
        batches: &mut Rows<'_>,
        events: &mut Rows<'_>,
    ) -> std::result::Result<(), Fault> {
        self.compare_heads()?;
        loop {
            let row = batches.next().map_err(|error| self.bad(reason(&error)))?;
            let Some(row) = row else { break };
            let batch = stored_batch(row).ok_or_else(|| self.bad("its row cannot be read"))?;
            self.check_batch(batch, events).map_err(|reason| self.bad(reason))?;
            self.compare_heads()?;
        }
        match events.next() {
            Ok(None) => self.witnessed.end().map_err(|reason| self.bad(reason)),
            Ok(Some(_)) => Err(self.bad("there are events after the last batch")),
            Err(error) => Err(self.bad(reason(&error))),
        }
    }

    /// A fault of the batch after the last good one.
    fn bad(&self, reason: impl Into<String>) -> Fault {
        let LogHead { position, batch, .. } = self.scanned.head;
        Fault::in_batch(batch + 1, position, reason)
    }

    fn check_batch(
        &mut self,
        batch: StoredBatch,
        events: &mut Rows<'_>,
    ) -> std::result::Result<(), String> {
        let StoredBatch { number, mut header, writes, hash } = batch;
        let before = self.scanned.head;
        if number != before.batch + 1 {
            return Err(format!("its number is {number}"));
        }
        if header.first_position != before.position + 1 {
            return Err(format!("it begins at position {}", header.first_position));
        }
        if header.committed_at < self.committed_at {
            return Err("it was committed before the batch before it".to_owned());
        }
        let mut leaves = Vec::new();
        for write in &writes {
            let first = leaves.len();
            self.check_events(write, events, &mut leaves)?;
            self.streams.add(write, &leaves[first..], (number, before.position))?;
            header.writes.push(self.batch_write(write)?);
        }
        if header.last_position != before.position + leaves.len() as u64 {
            return Err(format!("it ends at position {}", header.last_position));
        }
        if leaves_root(&leaves) != header.root {
            return Err("its root is not that of its events".to_owned());
        }
        if batch_hash(before.hash, &header) != hash {
            return Err("its hash is not that of what it says".to_owned());
        }
        let head = LogHead { position: header.last_position, batch: number, hash };
        self.witnessed.pass(head)?;
        self.committed_at = header.committed_at;
        self.scanned.head = head;
        Ok(())
    }

    fn batch_write(&self, write: &StoredWrite) -> std::result::Result<BatchWrite, String> {
        let stream = self.streams.name(write.stream_id).ok_or("it names an unknown stream")?;
        let StoredWrite { first_version, count, fence, .. } = *write;
        Ok(BatchWrite { stream: stream.clone(), first_version, count, fence })
    }

    /// Checks the events of one write and collects their leaves.
    fn check_events(
        &mut self,
        write: &StoredWrite,
        events: &mut Rows<'_>,
        leaves: &mut Vec<Hash>,
    ) -> std::result::Result<(), String> {
        let stream = self.streams.name(write.stream_id).ok_or("it names an unknown stream")?;
        for offset in 0..u64::from(write.count) {
            let position = self.scanned.head.position + leaves.len() as u64 + 1;
            let at = |what: &str| format!("at position {position} {what}");
            let row = events.next().map_err(|error| at(&reason(&error)))?;
            let row = row.ok_or_else(|| at("an event is missing"))?;
            let event = EventRow::read(row)
                .map_err(|column| at(&format!("column {column} holds what was never written")))?;
            if event.position != position {
                return Err(at(&format!("there is the event of position {}", event.position)));
            }
            if event.stream_id != write.stream_id {
                return Err(at("there is an event of another stream"));
            }
            if event.version != write.first_version + offset {
                return Err(at(&format!("there is version {} of {stream}", event.version)));
            }
            let texts = &self.texts;
            let (Some(type_name), Some(context)) =
                (texts.types.get(&event.type_id), texts.contexts.get(&event.context_id))
            else {
                return Err(at("the event's type or context is missing"));
            };
            let data = event.event(type_name.clone(), context.clone());
            if data.id.0.is_nil() {
                return Err(at("the event has no id"));
            }
            if leaf_hash(stream, &data) != event.leaf {
                return Err(at("the event is not the one that was hashed"));
            }
            leaves.push(event.leaf);
            self.scanned.by_stream.add(Indexed::by_stream(&event));
            self.scanned.by_type.add(Indexed::by_type(&event));
        }
        Ok(())
    }

    /// Compares the rows of `stream` where they hold.
    fn compare_heads(&mut self) -> std::result::Result<(), Fault> {
        let LogHead { position, batch, .. } = self.scanned.head;
        if position != self.heads_through {
            return Ok(());
        }
        self.heads_compared = true;
        self.streams.compare((batch, position)).map_or(Ok(()), Err)
    }

    /// What is left to check when every batch held.
    fn after_the_end(&self, connection: &Connection) -> Result<Option<Fault>> {
        let LogHead { position, .. } = self.scanned.head;
        if !self.heads_compared {
            let through = self.heads_through;
            let reason = format!(
                "the ends of streams are stored for position {through}, where no batch ends"
            );
            return Ok(Some(Fault::on_page(root_page(connection, "meta")?, position, reason)));
        }
        let Some(name) = self.streams.never_written() else { return Ok(None) };
        let reason = format!("stream {name} was never written");
        Ok(Some(Fault::on_page(root_page(connection, "stream")?, position, reason)))
    }
}

fn stored_batch(row: &Row<'_>) -> Option<StoredBatch> {
    let header = BatchHeader {
        last_position: integer(row, 0)?,
        first_position: integer(row, 2)?,
        committed_at: Timestamp::from_micros(integer(row, 3)?),
        writes: Vec::new(),
        root: blob(row, 5).and_then(Hash::from_slice)?,
    };
    let writes = blob(row, 4).and_then(decode_writes).filter(|writes| !writes.is_empty())?;
    let hash = blob(row, 6).and_then(Hash::from_slice)?;
    Some(StoredBatch { number: integer(row, 1)?, header, writes, hash })
}
