//! Reading the log.

use std::pin::pin;

use flexcore_eventsourcing::{Hash, RecordedEvent, StreamName, Timestamp};
use flexcore_ports::{LogHead, ReadFilter, StoreError};
use futures_util::TryStreamExt;
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

use super::row::{COLUMNS, Read, Texts};
use crate::{
    connection::Pool,
    error::{corrupt, store_error},
};

/// The most events that one read gives.
const MAX_PAGE: usize = 10_000;
/// How many positions a read by type looks at in one statement.
const WINDOW: u64 = 100_000;

/// Reads the log, for all who want to.
#[derive(Debug)]
pub(crate) struct Reader {
    pool: Pool,
    texts: Texts,
}

type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl Reader {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool, texts: Texts::default() }
    }

    /// Connections for reading.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The texts behind ids.
    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    /// Events of one stream.
    pub(crate) async fn stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM flexcore.event \
             WHERE stream_id = (SELECT id FROM flexcore.stream WHERE name = $1) AND version >= $2 \
             ORDER BY version LIMIT $3"
        );
        let (name, from, limit) = (stream.as_str(), bound(from_version), rows(limit));
        let parameters: Parameters<'_> =
            &[(&name, Type::TEXT), (&from, Type::INT8), (&limit, Type::INT8)];
        let client = self.pool.get().await?;
        let events = self.events(&client, &sql, parameters).await?;
        contiguous(
            &events,
            |event| event.version,
            events.first().map_or(0, |first| first.version),
        )?;
        Ok(events)
    }

    /// Events of the whole log.
    pub(crate) async fn all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let client = self.pool.get().await?;
        if !filter.types.is_empty() {
            return self.by_type(&client, after, limit.min(MAX_PAGE), &filter.types).await;
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM flexcore.event WHERE position > $1 ORDER BY position LIMIT $2"
        );
        let (from, limit) = (bound(after), rows(limit));
        let parameters: Parameters<'_> = &[(&from, Type::INT8), (&limit, Type::INT8)];
        let events = self.events(&client, &sql, parameters).await?;
        contiguous(&events, |event| event.position, after.saturating_add(1))?;
        Ok(events)
    }

    /// Events of some types. There is no index for it: the log is looked through, window by window,
    /// which costs every append nothing.
    async fn by_type(
        &self,
        client: &Client,
        mut after: u64,
        limit: usize,
        names: &[String],
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let end = head(client).await?.position;
        let sql = "SELECT id FROM flexcore.event_type WHERE name = ANY ($1)";
        let types = client.query(sql, &[&names]).await.map_err(|error| store_error(&error))?;
        let types: Vec<i32> = types.iter().map(|row| row.get(0)).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM flexcore.event WHERE position > $1 AND position <= $2 \
             AND type_id = ANY ($3) ORDER BY position LIMIT $4"
        );
        let mut events = Vec::new();
        while after < end && events.len() < limit && !types.is_empty() {
            let through = after.saturating_add(WINDOW);
            let (from, to, rest) = (bound(after), bound(through), rows(limit - events.len()));
            let parameters: Parameters<'_> = &[
                (&from, Type::INT8),
                (&to, Type::INT8),
                (&types, Type::INT4_ARRAY),
                (&rest, Type::INT8),
            ];
            events.extend(self.events(client, &sql, parameters).await?);
            after = through;
        }
        Ok(events)
    }

    /// Runs a query for [`COLUMNS`]. Rows become events while further ones arrive.
    pub(crate) async fn events(
        &self,
        client: &Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        match self.try_events(client, sql, parameters).await {
            // Perhaps a text is not the one that belongs to the row: another server took over.
            Err(StoreError::Corrupt { .. }) => {
                self.texts.clear();
                self.try_events(client, sql, parameters).await
            }
            result => result,
        }
    }

    async fn try_events(
        &self,
        client: &Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let failed = |error| store_error(&error);
        let stream = client.query_typed_raw(sql, parameters.iter().cloned());
        let mut stream = pin!(stream.await.map_err(failed)?);
        let (mut events, mut rest) = (Vec::new(), Vec::<Row>::new());
        while let Some(row) = stream.try_next().await.map_err(failed)? {
            if !rest.is_empty() {
                rest.push(row);
                continue;
            }
            match self.texts.event(&row) {
                Read::Event(event) => events.push(event),
                Read::Unknown => rest.push(row),
                Read::Changed(error) => return Err(error),
            }
        }
        if !rest.is_empty() {
            self.texts.load(client, &rest).await?;
        }
        for row in rest {
            match self.texts.event(&row) {
                Read::Event(event) => events.push(event),
                Read::Unknown => {
                    let place = format!("position {}", row.get::<_, i64>(0));
                    return Err(corrupt(place, "its stream, type or context does not exist"));
                }
                Read::Changed(error) => return Err(error),
            }
        }
        Ok(events)
    }

    /// The last position that was committed at or before `time`.
    pub(crate) async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        let client = self.pool.get().await?;
        let row = client.query_one("SELECT flexcore.position_at($1)", &[&time.as_micros()]).await;
        let row = row.map_err(|error| store_error(&error))?;
        Ok(row.get::<_, i64>(0).unsigned_abs())
    }

    /// The end of the log.
    pub(crate) async fn head(&self) -> Result<LogHead, StoreError> {
        head(&*self.pool.get().await?).await
    }

    /// The hash of the batch that ends at `position`.
    pub(crate) async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        let client = self.pool.get().await?;
        let sql = "SELECT hash FROM flexcore.batch WHERE last_position = $1";
        let row = client.query_opt(sql, &[&bound(position)]).await;
        let row = row.map_err(|error| store_error(&error))?;
        Ok(row.and_then(|row| Hash::from_slice(row.get(0))))
    }
}

/// The end of the log.
pub(crate) async fn head(client: &Client) -> Result<LogHead, StoreError> {
    let sql = "SELECT number, last_position, hash FROM flexcore.batch \
               ORDER BY last_position DESC LIMIT 1";
    let row = client.query_typed(sql, &[]).await.map_err(|error| store_error(&error))?;
    let Some(row) = row.first() else {
        return Ok(LogHead { position: 0, batch: 0, hash: Hash::ZERO });
    };
    let hash = Hash::from_slice(row.get(2)).ok_or_else(|| {
        corrupt(format!("batch {}", row.get::<_, i64>(0)), "its hash has not 32 bytes")
    })?;
    let unsigned = |column| row.get::<_, i64>(column).unsigned_abs();
    Ok(LogHead { batch: unsigned(0), position: unsigned(1), hash })
}

/// What follows the log must never skip anything: a hole is a reason to stop.
fn contiguous(
    events: &[RecordedEvent],
    number: impl Fn(&RecordedEvent) -> u64,
    first: u64,
) -> Result<(), StoreError> {
    for (event, expected) in events.iter().zip(first..) {
        let found = number(event);
        if found != expected {
            let reason = format!("{expected} should follow, and {found} does: there is a hole");
            return Err(corrupt(format!("position {}", event.position), reason));
        }
    }
    Ok(())
}

/// A position or version as the database's signed integer; nothing is stored beyond its range.
pub(crate) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE)).expect("ten thousand fits")
}
