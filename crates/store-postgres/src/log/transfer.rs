//! Whole batches out of the log and into it, unchanged.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use flexcore_event_codec::{StoredWrite, decode_writes};
use flexcore_eventsourcing::{
    Append, BatchHeader, BatchWrite, Hash, RecordedEvent, StreamWrite, Timestamp,
};
use flexcore_ports::{
    AppendError, LogBatch, LogHead, LogTransfer, StoreError, TransferError, check_event,
};
use tokio_postgres::{Client, Row, types::Type};

use super::{
    batch::{APPEND_BATCH, Batch},
    failure::Failure,
    names::Names,
    partitions::Partitions,
    prepared::Prepared,
    published::Published,
    read::{Reader, bound, head},
    row::{COLUMNS, Texts},
};
use crate::error::{corrupt, store_error};

/// The most batches that one read gives.
const MAX_BATCHES: usize = 1_000;
/// A read gives no further batch once it has so many events.
const MAX_EVENTS: u64 = 10_000;

/// Copies the log on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresLogTransfer {
    reader: Arc<Reader>,
    published: Arc<Published>,
}

/// A row of table `batch`, whose events are still to be read.
#[derive(Debug)]
pub(crate) struct BatchRow {
    pub(crate) number: u64,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    pub(crate) committed_at: Timestamp,
    pub(crate) root: Option<Hash>,
    pub(crate) hash: Option<Hash>,
    pub(crate) writes: Option<Vec<StoredWrite>>,
}

impl BatchRow {
    fn read(row: &Row) -> Self {
        let unsigned = |column| row.get::<_, i64>(column).unsigned_abs();
        Self {
            number: unsigned(0),
            first_position: unsigned(1),
            last_position: unsigned(2),
            committed_at: Timestamp::from_micros(row.get(3)),
            root: Hash::from_slice(row.get(4)),
            hash: Hash::from_slice(row.get(5)),
            writes: decode_writes(row.get(6)),
        }
    }

    /// The batch, with the names behind its streams' ids.
    pub(crate) fn with(
        self,
        texts: &Texts,
        events: Vec<RecordedEvent>,
    ) -> Result<LogBatch, String> {
        let writes = self.writes.ok_or("its stream writes cannot be read")?;
        let writes: Option<Vec<BatchWrite>> = writes
            .iter()
            .map(|write| {
                Some(BatchWrite {
                    stream: texts.stream(write.stream_id)?,
                    first_version: write.first_version,
                    count: write.count,
                    fence: write.fence,
                })
            })
            .collect();
        Ok(LogBatch {
            number: self.number,
            header: BatchHeader {
                first_position: self.first_position,
                last_position: self.last_position,
                committed_at: self.committed_at,
                writes: writes.ok_or("it names a stream that does not exist")?,
                root: self.root.ok_or("its root has not 32 bytes")?,
            },
            hash: self.hash.ok_or("its hash has not 32 bytes")?,
            events,
        })
    }
}

/// Rows of batches after `after`: some, whose events are not too many at once.
pub(crate) async fn batch_rows(
    client: &Client,
    after: u64,
    limit: usize,
) -> Result<Vec<BatchRow>, StoreError> {
    let sql = "SELECT number, first_position, last_position, committed_at, root, hash, writes \
               FROM flexcore.batch WHERE number > $1 ORDER BY number LIMIT $2";
    let limit = bound(limit.min(MAX_BATCHES) as u64);
    let rows = client.query(sql, &[&bound(after), &limit]).await;
    let mut batches = Vec::new();
    let mut events = 0_u64;
    for row in rows.map_err(|error| store_error(&error))? {
        let batch = BatchRow::read(&row);
        events = events.saturating_add(batch.last_position.abs_diff(batch.first_position) + 1);
        if !batches.is_empty() && events > MAX_EVENTS {
            break;
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// The streams that batches name.
pub(crate) fn stream_ids(batches: &[BatchRow]) -> Vec<i64> {
    let ids = batches.iter().flat_map(|batch| batch.writes.iter().flatten());
    let ids: HashSet<i64> = ids.map(|write| write.stream_id).collect();
    ids.into_iter().collect()
}

impl PostgresLogTransfer {
    pub(crate) fn new(reader: Arc<Reader>, published: Arc<Published>) -> Self {
        Self { reader, published }
    }

    async fn write(&self, batches: &[LogBatch]) -> Result<LogHead, TransferError> {
        let client = self.reader.pool().connector().connect().await.map_err(StoreError::from)?;
        let mut before = head(&client).await?;
        let known = skip_known(&client, batches, before).await?;
        let mut rest = &batches[known..];
        let (mut good, mut refusal) = checked(rest, before);
        while good > 0 {
            let result = import(&client, &rest[..good], before.hash).await;
            match result {
                Ok(head) => {
                    before = head;
                    rest = &rest[good..];
                    good = 0;
                }
                Err((at, Failure::Partitions)) => {
                    if at > 0 {
                        before = self.import_again(&client, &rest[..at], before.hash).await?;
                        rest = &rest[at..];
                        good -= at;
                    }
                    let partitions = Partitions::new(self.reader.pool().clone());
                    let events = rest.first().map_or(0, |batch| batch.events.len());
                    partitions
                        .ensure(&client, events)
                        .await
                        .map_err(|error| store_error(&error))?;
                }
                Err((at, failure)) => {
                    if at > 0 {
                        before = self.import_again(&client, &rest[..at], before.hash).await?;
                    }
                    refusal = Some(refused(rest[at].number, failure)?);
                    good = 0;
                }
            }
        }
        self.published.publish(before);
        refusal.map_or(Ok(before), Err)
    }

    /// Imports batches that were written once already, in a transaction that a later one ended.
    async fn import_again(
        &self,
        client: &Client,
        batches: &[LogBatch],
        before: Hash,
    ) -> Result<LogHead, TransferError> {
        match import(client, batches, before).await {
            Ok(head) => Ok(head),
            Err((at, failure)) => Err(refused(batches[at].number, failure)?),
        }
    }
}

#[async_trait]
impl LogTransfer for PostgresLogTransfer {
    async fn read_batches(&self, after: u64, limit: usize) -> Result<Vec<LogBatch>, StoreError> {
        let client = self.reader.pool().get().await?;
        let rows = batch_rows(&client, after, limit).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let (from, to) = (bound(first.first_position), bound(last.last_position));
        let sql = format!(
            "SELECT {COLUMNS} FROM flexcore.event WHERE position BETWEEN $1 AND $2 \
             ORDER BY position"
        );
        let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
            &[(&from, Type::INT8), (&to, Type::INT8)];
        let events = self.reader.events(&client, &sql, parameters).await?;
        let texts = self.reader.texts();
        texts.load_streams(&client, &stream_ids(&rows)).await?;
        let mut events = events.into_iter().peekable();
        rows.into_iter()
            .map(|row| {
                let (number, last) = (row.number, row.last_position);
                let own = std::iter::from_fn(|| events.next_if(|event| event.position <= last));
                let own = own.collect();
                row.with(texts, own).map_err(|reason| corrupt(format!("batch {number}"), reason))
            })
            .collect()
    }

    async fn write_batches(&self, batches: Vec<LogBatch>) -> Result<LogHead, TransferError> {
        self.write(&batches).await
    }
}

/// How many of the batches the log has already.
async fn skip_known(
    client: &Client,
    batches: &[LogBatch],
    end: LogHead,
) -> Result<usize, TransferError> {
    let known = batches.iter().take_while(|batch| batch.number <= end.batch).count();
    let Some(first) = batches[..known].first() else { return Ok(0) };
    let sql = "SELECT number, last_position, hash FROM flexcore.batch \
               WHERE number BETWEEN $1 AND $2";
    let range = (bound(first.number.saturating_sub(1)), bound(end.batch));
    let rows =
        client.query(sql, &[&range.0, &range.1]).await.map_err(|error| store_error(&error))?;
    let mut heads: HashMap<u64, LogHead> = rows.iter().filter_map(head_of).collect();
    heads.insert(0, LogHead { position: 0, batch: 0, hash: Hash::ZERO });
    for batch in &batches[..known] {
        let refused = |reason| TransferError::Refused { batch: batch.number, reason };
        if heads.get(&batch.number) != Some(&batch.head()) {
            return Err(refused("the log has another batch of that number".to_owned()));
        }
        // Its own hash says little if it is not the hash of what it holds.
        match batch.number.checked_sub(1).and_then(|number| heads.get(&number)) {
            Some(before) => batch.check_after(*before).map_err(refused)?,
            None => return Err(refused("the batch before it is missing".to_owned())),
        }
    }
    Ok(known)
}

fn head_of(row: &Row) -> Option<(u64, LogHead)> {
    let unsigned = |column| row.get::<_, i64>(column).unsigned_abs();
    let head =
        LogHead { batch: unsigned(0), position: unsigned(1), hash: Hash::from_slice(row.get(2))? };
    Some((head.batch, head))
}

/// How many of the batches follow each other and hold, and what is wrong with the next one.
fn checked(batches: &[LogBatch], mut before: LogHead) -> (usize, Option<TransferError>) {
    for (index, batch) in batches.iter().enumerate() {
        let refused =
            |reason| (index, Some(TransferError::Refused { batch: batch.number, reason }));
        if let Err(reason) = batch.check_after(before) {
            return refused(reason);
        }
        let limits = batch.events.iter().try_for_each(|event| check_event(&event.event));
        if let Err(AppendError::Invalid(reason)) = limits {
            return refused(reason);
        }
        before = batch.head();
    }
    (batches.len(), None)
}

/// Writes batches in one transaction. If one fails nothing is written, and its index comes back.
async fn import(
    client: &Client,
    batches: &[LogBatch],
    mut before: Hash,
) -> Result<LogHead, (usize, Failure)> {
    let failed = |at: usize| move |error: tokio_postgres::Error| (at, Failure::new(&error));
    client.batch_execute("BEGIN").await.map_err(failed(0))?;
    let mut names = Names::default();
    let mut last = None;
    for (index, batch) in batches.iter().enumerate() {
        if let Err(failure) = import_one(client, batch, before, &mut names).await {
            // The failure has ended the transaction, or the connection.
            let _ = client.batch_execute("ROLLBACK").await;
            return Err((index, failure));
        }
        before = batch.hash;
        last = Some(batch.head());
    }
    client.batch_execute("COMMIT").await.map_err(failed(0))?;
    last.ok_or_else(|| (0, Failure::Retry("there is nothing to import".to_owned())))
}

async fn import_one(
    client: &Client,
    batch: &LogBatch,
    before: Hash,
    names: &mut Names,
) -> Result<(), Failure> {
    let refuse = |reason: &str| Failure::Split(AppendError::Invalid(reason.to_owned()));
    let prepared = Prepared::unlimited(append_of(batch));
    if prepared.is_contradictory {
        return Err(refuse("its stream writes contradict each other"));
    }
    let failed = |error| Failure::new(&error);
    let encoded = Batch::encode(&[&prepared], names, client, true).await.map_err(failed)?;
    if !encoded.refused.is_empty() {
        return Err(refuse("it writes to a stream that the log does not have"));
    }
    let encoded = encoded.imported(batch.header.committed_at.as_micros(), before);
    let row = client.query_one(APPEND_BATCH, &encoded.parameters()).await.map_err(failed)?;
    let hash: Option<&[u8]> = row.get(2);
    if hash != Some(&batch.hash.0) {
        return Err(refuse("the database computes another hash"));
    }
    for (name, id) in encoded.new_streams {
        names.learn(&name, id);
    }
    Ok(())
}

/// The append that would write what a batch wrote.
fn append_of(batch: &LogBatch) -> Append {
    let mut events = batch.events.iter().map(|event| event.event.clone());
    let writes = batch.header.writes.iter().map(|write| StreamWrite {
        stream: write.stream.clone(),
        expected: write.first_version - 1,
        fence: write.fence,
        events: events.by_ref().take(write.count as usize).collect(),
    });
    Append { writes: writes.collect() }
}

fn refused(batch: u64, failure: Failure) -> Result<TransferError, TransferError> {
    let reason = match failure {
        Failure::Split(AppendError::Invalid(reason)) => reason,
        Failure::Split(error) | Failure::Refuse(error) => match error {
            AppendError::Unavailable(error) => return Err(error.into()),
            error => error.to_string(),
        },
        Failure::Retry(reason) | Failure::Reconnect { reason, .. } => {
            let reason = format!("{reason}; repeat the import");
            return Err(StoreError::Unavailable(reason).into());
        }
        Failure::Partitions => "there is no partition for it".to_owned(),
    };
    Ok(TransferError::Refused { batch, reason })
}
