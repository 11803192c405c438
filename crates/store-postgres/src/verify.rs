//! Proving the log.
//!
//! Batches and their events are read in order, in one snapshot, and everything that is stored about
//! them is recomputed: positions, versions, leaves, roots, batch hashes, times and owner epochs. At
//! the end the ends of streams are compared with what was read, and the log with what views and
//! witnesses know of it. The first batch that does not hold is named.

mod streams;

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use flexcore_eventsourcing::{Hash, RecordedEvent, Timestamp};
use flexcore_ports::{
    LogBatch, LogCounts, LogHead, LogVerifier, StoreError, VerifyFault, VerifyReport,
    WitnessedHeads,
};
use futures_util::TryStreamExt;
use tokio_postgres::{Client, types::Type};

use crate::{
    connection::Pool,
    error::store_error,
    log::{BatchRow, COLUMNS, Read, Texts, batch_rows, bound, stream_ids},
};
use streams::Streams;

/// How many batches are read at a time.
const BATCHES: usize = 1_000;
const NOTHING: LogHead = LogHead { position: 0, batch: 0, hash: Hash::ZERO };

/// Proves and counts the log on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresLogVerifier {
    pool: Pool,
}

/// What was proven so far.
struct Proof {
    head: LogHead,
    committed_at: Timestamp,
    streams: Streams,
    witnessed: WitnessedHeads,
    fault: Option<VerifyFault>,
}

impl PostgresLogVerifier {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// A connection of its own, in one snapshot that nobody disturbs.
    async fn snapshot(&self) -> Result<Client, StoreError> {
        let settings =
            [("statement_timeout", "0"), ("default_transaction_isolation", "repeatable\\ read")];
        let client = self.pool.connector().with_settings("verify", &settings).connect().await?;
        client.batch_execute("BEGIN READ ONLY").await.map_err(|error| store_error(&error))?;
        Ok(client)
    }
}

#[async_trait]
impl LogVerifier for PostgresLogVerifier {
    async fn verify(&self, witnessed: &[LogHead]) -> Result<VerifyReport, StoreError> {
        let client = self.snapshot().await?;
        let mut proof = Proof {
            head: NOTHING,
            committed_at: Timestamp::from_micros(i64::MIN),
            streams: Streams::load(&client).await?,
            witnessed: WitnessedHeads::new(witnessed),
            fault: None,
        };
        let texts = Arc::new(Texts::default());
        while proof.fault.is_none() {
            let rows = batch_rows(&client, proof.head.batch, BATCHES).await?;
            if rows.is_empty() {
                break;
            }
            proof.add_page(&client, &texts, rows).await?;
        }
        if proof.fault.is_none() {
            proof.finish(&client).await?;
        }
        Ok(VerifyReport {
            batches: proof.head.batch,
            events: proof.head.position,
            streams: proof.streams.count(),
            head: proof.head.hash,
            fault: proof.fault,
        })
    }

    async fn statistics(&self) -> Result<LogCounts, StoreError> {
        let client = self.snapshot().await?;
        count(&client).await.map_err(|error| store_error(&error))
    }
}

impl Proof {
    async fn add_page(
        &mut self,
        client: &Client,
        texts: &Texts,
        rows: Vec<BatchRow>,
    ) -> Result<(), StoreError> {
        let through = rows.iter().map(|row| row.last_position).max().unwrap_or(0);
        let events = read_events(client, texts, self.head.position, through).await?;
        let ids = stream_ids(&rows);
        let unknown = texts.load_streams(client, &ids).await;
        if let Err(StoreError::Corrupt { place, reason }) = unknown {
            self.fault(self.head.batch + 1, format!("{place}: {reason}"));
            return Ok(());
        }
        unknown?;
        let mut events = events.into_iter().peekable();
        for row in rows {
            let (number, last) = (row.number, row.last_position);
            // Anything but the next batch is a fault of the next batch.
            let number = number.min(self.head.batch + 1);
            let own: Result<Vec<_>, String> =
                std::iter::from_fn(|| events.next_if(|(position, _)| *position <= last))
                    .map(|(_, event)| event)
                    .collect();
            let batch = own.and_then(|own| row.with(texts, own));
            if let Err(reason) = batch.and_then(|batch| self.add(&batch)) {
                self.fault(number, reason);
                return Ok(());
            }
        }
        Ok(())
    }

    fn add(&mut self, batch: &LogBatch) -> Result<(), String> {
        batch.check_after(self.head)?;
        if batch.header.committed_at < self.committed_at {
            return Err("it was committed before the batch before it".to_owned());
        }
        self.witnessed.pass(batch.head())?;
        self.streams.add(batch, self.head.position)?;
        self.head = batch.head();
        self.committed_at = batch.header.committed_at;
        Ok(())
    }

    /// What only shows once all batches were read.
    async fn finish(&mut self, client: &Client) -> Result<(), StoreError> {
        if let Err(reason) = self.witnessed.end() {
            self.fault(self.head.batch + 1, reason);
            return Ok(());
        }
        let sql = "SELECT EXISTS (SELECT FROM flexcore.event WHERE position > $1 OR position < 1)";
        let row = client.query_one(sql, &[&bound(self.head.position)]).await;
        if row.map_err(|error| store_error(&error))?.get(0) {
            self.fault(self.head.batch + 1, "there are events that belong to no batch".to_owned());
        } else if let Some((batch, last_good_position, reason)) = self.streams.compare(self.head) {
            self.fault =
                Some(VerifyFault { batch: Some(batch), page: None, last_good_position, reason });
        } else {
            self.compare_with_views(client).await?;
        }
        Ok(())
    }

    /// Views that have folded in more than the log holds, or another history, prove that it was cut
    /// short or replaced.
    async fn compare_with_views(&mut self, client: &Client) -> Result<(), StoreError> {
        let sql = "SELECT v.name, v.position, b.hash IS NOT NULL \
            FROM flexcore.views_checkpoints() v \
            LEFT JOIN flexcore.batch b ON b.last_position = v.position \
            WHERE b.hash IS DISTINCT FROM v.hash ORDER BY v.position LIMIT 1";
        let row = client.query_opt(sql, &[]).await.map_err(|error| store_error(&error))?;
        let Some(row) = row else { return Ok(()) };
        let position = row.get::<_, i64>(1).unsigned_abs();
        let end = self.head.position;
        let difference = if row.get(2) {
            format!("at position {position} the log has another hash")
        } else {
            format!("it stands at position {position}, where no batch of the log ends")
        };
        let reason = format!(
            "view `{}` has folded in more than the log holds: {difference}; the log was truncated \
             or replaced",
            row.get::<_, &str>(0)
        );
        self.fault = Some(VerifyFault {
            batch: (position > end).then_some(self.head.batch + 1),
            page: None,
            last_good_position: end.min(position.saturating_sub(1)),
            reason,
        });
        Ok(())
    }

    fn fault(&mut self, batch: u64, reason: String) {
        let last_good_position = self.head.position;
        self.fault =
            Some(VerifyFault { batch: Some(batch), page: None, last_good_position, reason });
    }
}

/// The events between two positions, each with its own; those that cannot be read say why.
async fn read_events(
    client: &Client,
    texts: &Texts,
    after: u64,
    through: u64,
) -> Result<Vec<(u64, Result<RecordedEvent, String>)>, StoreError> {
    let failed = |error| store_error(&error);
    let sql = format!(
        "SELECT {COLUMNS} FROM flexcore.event WHERE position > $1 AND position <= $2 \
         ORDER BY position"
    );
    let parameters = [(bound(after), Type::INT8), (bound(through), Type::INT8)];
    let rows = client.query_typed_raw(&sql, parameters).await.map_err(failed)?;
    let mut rows = pin!(rows);
    let (mut events, mut page) = (Vec::new(), Vec::new());
    loop {
        let row = rows.try_next().await.map_err(failed)?;
        let is_last = row.is_none();
        page.extend(row);
        if is_last {
            break;
        }
    }
    texts.load(client, &page).await?;
    for row in page {
        let position = row.get::<_, i64>(0).unsigned_abs();
        let event = match texts.event(&row) {
            Read::Event(event) => Ok(event),
            Read::Unknown => {
                Err(format!("the stream, type or context of position {position} does not exist"))
            }
            Read::Changed(error) => Err(error.to_string()),
        };
        events.push((position, event));
    }
    Ok(events)
}

async fn count(client: &Client) -> Result<LogCounts, tokio_postgres::Error> {
    let end = "SELECT number, last_position, hash, committed_at FROM flexcore.batch \
               ORDER BY last_position DESC LIMIT 1";
    let end = client.query_opt(end, &[]).await?;
    let first = "SELECT committed_at FROM flexcore.batch ORDER BY last_position LIMIT 1";
    let first = client.query_opt(first, &[]).await?;
    let streams = client.query_one("SELECT count(*) FROM flexcore.stream", &[]).await?;
    let types = "SELECT t.name, sum(e.count)::bigint FROM flexcore.event_type t \
        JOIN (SELECT type_id, count(*) FROM flexcore.event GROUP BY type_id) e ON e.type_id = t.id \
        GROUP BY t.name ORDER BY t.name";
    let types = client.query(types, &[]).await?;
    let unsigned =
        |row: &tokio_postgres::Row, column: usize| row.get::<_, i64>(column).unsigned_abs();
    let micros = |row: tokio_postgres::Row, column: usize| Timestamp::from_micros(row.get(column));
    Ok(LogCounts {
        head: end.as_ref().map_or(NOTHING, |row| LogHead {
            batch: unsigned(row, 0),
            position: unsigned(row, 1),
            hash: Hash::from_slice(row.get(2)).unwrap_or(Hash::ZERO),
        }),
        streams: unsigned(&streams, 0),
        types: types.iter().map(|row| (row.get(0), unsigned(row, 1))).collect(),
        first_committed_at: first.map(|row| micros(row, 0)),
        last_committed_at: end.map(|row| micros(row, 3)),
    })
}
