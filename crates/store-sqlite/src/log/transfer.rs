//! Whole batches out of the log and into it, unchanged.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_event_codec::{StoredWrite, decode_writes, encode_write};
use flexcore_eventsourcing::{
    BatchHeader, BatchWrite, Epoch, EventData, Hash, StreamName, Timestamp,
};
use flexcore_ports::{LogBatch, LogHead, LogTransfer, StoreError, TransferError};
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::oneshot;

use super::{
    SqliteEventStore,
    group::Log,
    names::NameCache,
    read::{self, CommitTimes},
    request::check_event,
    roll_forward::log_end,
    row::{COLUMNS, EventRow, blob, integer},
    statements::{BatchRow, EventPlace},
};
use crate::{error::store_error, readers::Reader};

/// The most batches that one read gives.
const MAX_BATCHES: usize = 1_000;
/// A read gives no further batch once it has so many payload bytes.
const MAX_BYTES: usize = 8 << 20;
/// What an event takes in memory besides its payload, roughly.
const EVENT_BYTES: usize = 256;

/// Copies of the log, in and out.
#[derive(Debug, Clone)]
pub struct SqliteLogTransfer {
    events: Arc<SqliteEventStore>,
}

/// Batches for the writer thread, which are known to follow `after` and to hold what they say.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) after: LogHead,
    pub(crate) batches: Vec<LogBatch>,
    pub(crate) reply: oneshot::Sender<Result<LogHead, TransferError>>,
}

impl SqliteLogTransfer {
    pub(crate) fn new(events: Arc<SqliteEventStore>) -> Self {
        Self { events }
    }
}

#[async_trait]
impl LogTransfer for SqliteLogTransfer {
    async fn read_batches(&self, after: u64, limit: usize) -> Result<Vec<LogBatch>, StoreError> {
        self.events.readers().run(move |reader| read_batches(reader, after, limit)).await
    }

    async fn write_batches(&self, batches: Vec<LogBatch>) -> Result<LogHead, TransferError> {
        // On a thread that may take its time: every event is hashed again.
        let checked = self.events.readers().run(|reader| check(&reader.connection, batches));
        let Checked { after, new, end, refusal } = checked.await?;
        let head = if new.is_empty() { end } else { self.events.import(after, new).await? };
        refusal.map_or(Ok(head), Err)
    }
}

fn read_batches(
    reader: &mut Reader,
    after: u64,
    limit: usize,
) -> Result<Vec<LogBatch>, StoreError> {
    let Reader { connection, names } = reader;
    let Some(start) = head_of(connection, after)? else { return Ok(Vec::new()) };
    let failed = |error: rusqlite::Error| store_error(&error, "table batch");
    let mut rows = connection
        .prepare_cached(
            "SELECT number, first_position, last_position, committed_at, writes, root, hash \
             FROM batch WHERE last_position > ?1 ORDER BY last_position",
        )
        .map_err(failed)?;
    let mut rows = rows.query([start.position.cast_signed()]).map_err(failed)?;
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while batches.len() < limit.min(MAX_BATCHES) && bytes < MAX_BYTES {
        let Some(row) = rows.next().map_err(failed)? else { break };
        let number = after + 1 + batches.len() as u64;
        let batch = read_batch(connection, names, row, number)?;
        bytes += batch.events.iter().map(|event| event.event.payload.len()).sum::<usize>();
        bytes += batch.events.len() * EVENT_BYTES;
        batches.push(batch);
    }
    Ok(batches)
}

fn read_batch(
    connection: &Connection,
    names: &mut NameCache,
    row: &Row<'_>,
    number: u64,
) -> Result<LogBatch, StoreError> {
    let corrupt = |reason: &str| StoreError::Corrupt {
        place: format!("batch {number}"),
        reason: reason.to_owned(),
    };
    if integer::<u64>(row, 0) != Some(number) {
        return Err(corrupt("another batch is in its place"));
    }
    let stored = || {
        let writes = blob(row, 4).and_then(decode_writes)?;
        let root = blob(row, 5).and_then(Hash::from_slice)?;
        let hash = blob(row, 6).and_then(Hash::from_slice)?;
        let committed_at = Timestamp::from_micros(integer(row, 3)?);
        let (first_position, last_position) = (integer(row, 1)?, integer(row, 2)?);
        let header =
            BatchHeader { first_position, last_position, committed_at, writes: Vec::new(), root };
        Some((writes, header, hash))
    };
    let (stored_writes, mut header, hash) =
        stored().ok_or_else(|| corrupt("its row cannot be read"))?;
    for StoredWrite { stream_id, first_version, count, fence } in stored_writes {
        let stream = names.stream(connection, stream_id)?;
        header.writes.push(BatchWrite { stream, first_version, count, fence });
    }
    let events = read_events(connection, names, &header)?;
    Ok(LogBatch { number, header, hash, events })
}

fn read_events(
    connection: &Connection,
    names: &mut NameCache,
    header: &BatchHeader,
) -> Result<Vec<flexcore_eventsourcing::RecordedEvent>, StoreError> {
    let BatchHeader { first_position, last_position, committed_at, .. } = *header;
    let place = || format!("positions {first_position} to {last_position}");
    let failed = |error: rusqlite::Error| store_error(&error, place());
    let sql = format!("SELECT {COLUMNS} FROM event WHERE position BETWEEN ?1 AND ?2");
    let mut statement =
        connection.prepare_cached(&format!("{sql} ORDER BY position")).map_err(failed)?;
    let range = (first_position.cast_signed(), last_position.cast_signed());
    let mut rows = statement.query(range).map_err(failed)?;
    let mut times = CommitTimes::of_batch(first_position, last_position, committed_at);
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let row = EventRow::read(row).map_err(|column| StoreError::Corrupt {
            place: place(),
            reason: format!("column {column} holds what was never written"),
        })?;
        events.push(read::recorded(connection, names, &mut times, &row)?);
    }
    Ok(events)
}

/// The end of the log as it was after a batch; `None` if there is no such batch. A binary search, as
/// batches are found by position only and both grow together.
fn head_of(connection: &Connection, number: u64) -> Result<Option<LogHead>, StoreError> {
    if number == 0 {
        return Ok(Some(LogHead { position: 0, batch: 0, hash: Hash::ZERO }));
    }
    let search = || -> rusqlite::Result<Option<LogHead>> {
        let mut statement = connection.prepare_cached(
            "SELECT first_position, last_position, number, hash FROM batch \
             WHERE last_position >= ?1 ORDER BY last_position LIMIT 1",
        )?;
        let sql = "SELECT coalesce(max(last_position), 0) FROM batch";
        let end: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        let (mut low, mut high) = (1, end);
        while low <= high {
            let middle = low + (high - low) / 2;
            let row = |row: &Row<'_>| {
                let head =
                    LogHead { position: row.get(1)?, batch: row.get(2)?, hash: Hash(row.get(3)?) };
                Ok((row.get(0)?, head))
            };
            let found: Option<(i64, LogHead)> = statement.query_row([middle], row).optional()?;
            let Some((first, head)) = found else { return Ok(None) };
            match head.batch.cmp(&number) {
                std::cmp::Ordering::Equal => return Ok(Some(head)),
                std::cmp::Ordering::Less => low = head.position.cast_signed().max(middle) + 1,
                std::cmp::Ordering::Greater => high = first.min(middle) - 1,
            }
        }
        Ok(None)
    };
    search().map_err(|error| store_error(&error, "table batch"))
}

/// What of an import is new, as far as it can be taken over.
struct Checked {
    /// The end of the log that the new batches follow.
    after: LogHead,
    new: Vec<LogBatch>,
    /// The end of the log as it was found.
    end: LogHead,
    /// Why the rest is refused.
    refusal: Option<TransferError>,
}

fn check(connection: &Connection, batches: Vec<LogBatch>) -> Result<Checked, StoreError> {
    let end = log_end(connection)?;
    let mut committed_at = end.committed_at;
    let mut checked = Checked { after: end.head, new: Vec::new(), end: end.head, refusal: None };
    let Some(first) = batches.first() else { return Ok(checked) };
    let mut before = match first.number.checked_sub(1) {
        Some(before) => head_of(connection, before)?,
        None => None,
    };
    for batch in batches {
        let known = batch.number <= end.head.batch;
        let stored = if known { head_of(connection, batch.number)? } else { None };
        let result = match before {
            None => Err(format!("the log ends with batch {}", end.head.batch)),
            Some(_) if known && stored != Some(batch.head()) => {
                Err("the log has another batch of this number: another history".to_owned())
            }
            Some(before) => batch.check_after(before),
        };
        let result =
            result.and_then(|()| if known { Ok(()) } else { check_new(&batch, committed_at) });
        if let Err(reason) = result {
            checked.refusal = Some(TransferError::Refused { batch: batch.number, reason });
            return Ok(checked);
        }
        before = Some(batch.head());
        if !known {
            committed_at = batch.header.committed_at;
            checked.new.push(batch);
        }
    }
    Ok(checked)
}

/// What a batch's own hashes do not say: that this store could have committed it.
fn check_new(batch: &LogBatch, committed_at: Timestamp) -> Result<(), String> {
    if batch.header.committed_at < committed_at {
        return Err("it was committed before the batch before it".to_owned());
    }
    let fits = |number: u64| i64::try_from(number).is_ok();
    for write in &batch.header.writes {
        let last = write.first_version.saturating_add(u64::from(write.count));
        if write.count == 0 || !fits(last) || !fits(write.fence.map_or(0, |fence| fence.0)) {
            return Err(format!("its write to {} is not one that a store makes", write.stream));
        }
    }
    let mut events = batch.events.iter().map(|event| &event.event);
    events.try_for_each(check_event).map_err(|error| error.to_string())
}

impl Log<'_> {
    /// Adds batches that are known to follow `after`, as many as can be taken over, and makes them
    /// durable.
    ///
    /// # Errors
    /// The outer one if the file fails: then nothing was added.
    pub(crate) fn import(
        &mut self,
        after: LogHead,
        batches: Vec<LogBatch>,
    ) -> rusqlite::Result<Result<LogHead, TransferError>> {
        let end = self.end;
        if after != end.head {
            let batch = after.batch + 1;
            let reason = "the log grew while it was looked at; import again".to_owned();
            return Ok(Err(TransferError::Refused { batch, reason }));
        }
        let refusal = self.rows.begin().and_then(|()| {
            let refusal = self.import_batches(batches)?;
            self.rows.commit().map(|()| refusal)
        });
        match refusal {
            Ok(refusal) => {
                self.heads.keep();
                self.interned.keep();
                Ok(refusal.map_or(Ok(self.end.head), Err))
            }
            Err(error) => {
                // SQLite has rolled back already after most errors; then this one says so.
                let _ = self.rows.rollback();
                self.heads.roll_back();
                self.interned.roll_back();
                self.end = end;
                Err(error)
            }
        }
    }

    fn import_batches(
        &mut self,
        batches: Vec<LogBatch>,
    ) -> rusqlite::Result<Option<TransferError>> {
        for batch in batches {
            let number = batch.number;
            if let Err(reason) = self.import_batch(batch)? {
                return Ok(Some(TransferError::Refused { batch: number, reason }));
            }
        }
        Ok(None)
    }

    /// Writes a batch as another log committed it. The inner error says why it does not follow what
    /// is there; then nothing of it was written.
    fn import_batch(&mut self, batch: LogBatch) -> rusqlite::Result<Result<(), String>> {
        if let Err(reason) = self.check_import(&batch)? {
            return Ok(Err(reason));
        }
        let head = batch.head();
        let LogBatch { header, events, .. } = batch;
        let mut events = events.into_iter();
        let mut stored_writes = Vec::new();
        let mut position = header.first_position;
        for write in &header.writes {
            let own: Vec<(EventData, Hash)> = events
                .by_ref()
                .take(write.count as usize)
                .map(|event| (event.event, event.leaf))
                .collect();
            let stream_id = self.import_events(&write.stream, write.fence, &own, position)?;
            position += own.len() as u64;
            let BatchWrite { first_version, count, fence, .. } = *write;
            let stored = StoredWrite { stream_id, first_version, count, fence };
            encode_write(&stored, &mut stored_writes);
        }
        self.rows.insert_batch(&BatchRow {
            number: head.batch,
            first_position: header.first_position,
            last_position: header.last_position,
            committed_at: header.committed_at,
            writes: &stored_writes,
            root: header.root,
            hash: head.hash,
        })?;
        self.end.head = head;
        self.end.committed_at = header.committed_at;
        Ok(Ok(()))
    }

    fn import_events(
        &mut self,
        stream: &StreamName,
        fence: Option<Epoch>,
        events: &[(EventData, Hash)],
        first_position: u64,
    ) -> rusqlite::Result<i64> {
        let head = self.heads.get(&mut self.rows, stream)?;
        let stream_id = match head.id {
            Some(id) => id,
            None => self.rows.insert_stream(stream.as_str())?,
        };
        for ((event, leaf), offset) in events.iter().zip(0..) {
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
        let leaves: Vec<Hash> = events.iter().map(|(_, leaf)| *leaf).collect();
        self.heads.set(stream, head.followed_by(stream_id, &leaves, fence));
        Ok(stream_id)
    }

    /// Whether versions and fences follow those of the streams.
    fn check_import(&mut self, batch: &LogBatch) -> rusqlite::Result<Result<(), String>> {
        let mut ends: std::collections::HashMap<&StreamName, (u64, Epoch)> =
            std::collections::HashMap::new();
        for write in &batch.header.writes {
            let (version, owner) = match ends.get(&write.stream) {
                Some(end) => *end,
                None => self
                    .heads
                    .get(&mut self.rows, &write.stream)
                    .map(|head| (head.version, head.owner))?,
            };
            if write.first_version != version + 1 {
                return Ok(Err(format!(
                    "it writes version {} of {}, which has {version} events",
                    write.first_version, write.stream
                )));
            }
            if write.fence.is_some_and(|fence| fence < owner) {
                return Ok(Err(format!("its fence is below epoch {owner} of {}", write.stream)));
            }
            let end = version + u64::from(write.count);
            ends.insert(&write.stream, (end, owner.max(write.fence.unwrap_or_default())));
        }
        Ok(Ok(()))
    }
}
