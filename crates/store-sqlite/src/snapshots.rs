//! Snapshots of aggregates, in the views file: they are lost with it and made again.
//!
//! A snapshot is bound to the hash of the batch that holds its last event. The chain of batches
//! covers everything before, so a log with the same hash there has the same history.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_eventsourcing::{Hash, StreamName};
use flexcore_ports::{Snapshot, Snapshots, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use crate::{SqliteViewStore, error::store_error, readers::Readers, views::seal};

/// Snapshots on SQLite.
#[derive(Debug, Clone)]
pub struct SqliteSnapshots {
    log: Readers,
    views: Arc<SqliteViewStore>,
}

/// A snapshot with what it is bound to.
struct Bound {
    snapshot: Snapshot,
    position: u64,
    batch_hash: Hash,
    seal: Hash,
}

impl SqliteSnapshots {
    pub(crate) fn new(log: Readers, views: Arc<SqliteViewStore>) -> Self {
        Self { log, views }
    }

    async fn batch_of(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.log.run(move |reader| batch_hash_of(&reader.connection, position)).await
    }
}

#[async_trait]
impl Snapshots for SqliteSnapshots {
    async fn load(&self, stream: &StreamName) -> Result<Option<Snapshot>, StoreError> {
        let name = stream.clone();
        let found = self.views.place().read(move |connection| find(connection, &name)).await?;
        let Some(bound) = found.filter(|bound| bound.seal == bound.expected_seal()) else {
            return Ok(None);
        };
        let stored = self.batch_of(bound.position).await?;
        Ok((stored == Some(bound.batch_hash)).then_some(bound.snapshot))
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let (stream, version) = (snapshot.stream.clone(), snapshot.version);
        let position = self
            .log
            .run(move |reader| position_of(&reader.connection, &stream, version))
            .await?
            .ok_or_else(|| {
                let Snapshot { stream, version, .. } = &snapshot;
                let reason =
                    format!("stream {stream} has no event {version} to make a snapshot of");
                StoreError::Unavailable(reason)
            })?;
        let batch_hash = self.batch_of(position).await?.ok_or_else(|| StoreError::Corrupt {
            place: format!("position {position}"),
            reason: "no batch holds it".to_owned(),
        })?;
        let mut bound = Bound { snapshot, position, batch_hash, seal: Hash::ZERO };
        bound.seal = bound.expected_seal();
        self.views.place().write(move |connection| write(connection, &bound)).await
    }
}

impl Bound {
    fn expected_seal(&self) -> Hash {
        let Snapshot { stream, version, schema_version, payload } = &self.snapshot;
        seal(&[
            stream.as_str().as_bytes(),
            &version.to_be_bytes(),
            &schema_version.to_be_bytes(),
            &self.position.to_be_bytes(),
            &self.batch_hash.0,
            payload,
        ])
    }
}

fn find(connection: &Connection, stream: &StreamName) -> Result<Option<Bound>, StoreError> {
    let bound = |row: &Row<'_>| {
        let snapshot = Snapshot {
            stream: stream.clone(),
            version: row.get(0)?,
            schema_version: row.get(1)?,
            payload: row.get(5)?,
        };
        let (position, batch_hash, seal) = (row.get(2)?, Hash(row.get(3)?), Hash(row.get(4)?));
        Ok(Bound { snapshot, position, batch_hash, seal })
    };
    connection
        .prepare_cached(
            "SELECT version, schema_version, position, batch_hash, seal, payload \
             FROM snapshot WHERE stream = ?1",
        )
        .and_then(|mut statement| statement.query_row([stream.as_str()], bound).optional())
        .map_err(|error| store_error(&error, format!("the snapshot of {stream}")))
}

/// An older snapshot never replaces a newer one: two may be made at once.
fn write(connection: &Connection, bound: &Bound) -> rusqlite::Result<()> {
    let snapshot = &bound.snapshot;
    connection
        .prepare_cached(
            "INSERT INTO snapshot VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream) DO UPDATE SET \
             version = excluded.version, schema_version = excluded.schema_version, \
             position = excluded.position, batch_hash = excluded.batch_hash, \
             seal = excluded.seal, payload = excluded.payload \
             WHERE excluded.version >= version",
        )?
        .execute((
            snapshot.stream.as_str(),
            snapshot.version,
            snapshot.schema_version,
            bound.position,
            bound.batch_hash.0,
            bound.seal.0,
            &snapshot.payload,
        ))
        .map(drop)
}

fn position_of(
    connection: &Connection,
    stream: &StreamName,
    version: u64,
) -> Result<Option<u64>, StoreError> {
    connection
        .prepare_cached(
            "SELECT position FROM event \
             WHERE stream_id = (SELECT id FROM stream WHERE name = ?1) AND version = ?2",
        )
        .and_then(|mut statement| {
            statement.query_row((stream.as_str(), version), |row| row.get(0)).optional()
        })
        .map_err(|error| store_error(&error, format!("stream {stream}")))
}

/// The hash of the batch that holds `position`.
fn batch_hash_of(connection: &Connection, position: u64) -> Result<Option<Hash>, StoreError> {
    connection
        .prepare_cached(
            "SELECT hash FROM batch WHERE last_position >= ?1 ORDER BY last_position LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row([position], |row| row.get(0).map(Hash)).optional()
        })
        .map_err(|error| store_error(&error, format!("the batch of position {position}")))
}
