//! Snapshots of aggregates.
//!
//! A snapshot is bound to the hash of the batch that holds its last event. The chain of batches
//! covers everything before, so a log with the same hash there has the same history.

use async_trait::async_trait;
use flexcore_eventsourcing::{Hash, StreamName};
use flexcore_ports::{Snapshot, Snapshots, StoreError};
use sha2::{Digest, Sha256};
use tokio_postgres::{Row, types::ToSql};

use crate::{connection::Pool, error::store_error};

/// Snapshots on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PostgresSnapshots {
    pool: Pool,
}

const LOAD: &str = "SELECT s.version, s.schema_version, s.position, s.batch_hash, s.seal, s.payload \
     FROM flexcore.snapshot s WHERE s.stream = $1 AND s.batch_hash = (SELECT b.hash \
     FROM flexcore.batch b WHERE b.last_position >= s.position ORDER BY b.last_position LIMIT 1)";

const PLACE: &str = "SELECT e.position, (SELECT b.hash FROM flexcore.batch b \
     WHERE b.last_position >= e.position ORDER BY b.last_position LIMIT 1) \
     FROM flexcore.event e JOIN flexcore.stream s ON s.id = e.stream_id \
     WHERE s.name = $1 AND e.version = $2";

/// An older snapshot never replaces a newer one: two may be made at once.
const SAVE: &str = "INSERT INTO flexcore.snapshot AS s \
     (stream, version, schema_version, position, batch_hash, seal, payload) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (stream) DO UPDATE SET \
     version = excluded.version, schema_version = excluded.schema_version, \
     position = excluded.position, batch_hash = excluded.batch_hash, seal = excluded.seal, \
     payload = excluded.payload WHERE excluded.version >= s.version";

impl PostgresSnapshots {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone() }
    }

    async fn row(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, StoreError> {
        let client = self.pool.get().await?;
        let run = async {
            let statement = client.prepare_cached(sql).await?;
            client.query_opt(&statement, parameters).await
        };
        run.await.map_err(|error| store_error(&error))
    }
}

#[async_trait]
impl Snapshots for PostgresSnapshots {
    async fn load(&self, stream: &StreamName) -> Result<Option<Snapshot>, StoreError> {
        let Some(row) = self.row(LOAD, &[&stream.as_str()]).await? else { return Ok(None) };
        let (position, hash, seal): (i64, &[u8], &[u8]) = (row.get(2), row.get(3), row.get(4));
        let Ok(schema_version) = u16::try_from(row.get::<_, i32>(1)) else { return Ok(None) };
        let snapshot = Snapshot {
            stream: stream.clone(),
            version: row.get::<_, i64>(0).cast_unsigned(),
            schema_version,
            payload: row.get(5),
        };
        // A damaged row is as good as none.
        let whole = seal_of(&snapshot, position, hash).0 == seal;
        Ok(whole.then_some(snapshot))
    }

    async fn save(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let Snapshot { stream, version, schema_version, payload } = &snapshot;
        let name = stream.as_str();
        let version = version.cast_signed();
        let place = self.row(PLACE, &[&name, &version]).await?.ok_or_else(|| {
            let reason = format!("stream {stream} has no event {version} to make a snapshot of");
            StoreError::Unavailable(reason)
        })?;
        let (position, hash): (i64, Vec<u8>) = (place.get(0), place.get(1));
        let seal = seal_of(&snapshot, position, &hash).0.to_vec();
        let schema_version = i32::from(*schema_version);
        self.row(SAVE, &[&name, &version, &schema_version, &position, &hash, &seal, payload])
            .await
            .map(drop)
    }
}

/// SHA-256 over the fields of a row, each behind its length.
fn seal_of(snapshot: &Snapshot, position: i64, batch_hash: &[u8]) -> Hash {
    let Snapshot { stream, version, schema_version, payload } = snapshot;
    let fields: [&[u8]; 6] = [
        stream.as_str().as_bytes(),
        &version.to_be_bytes(),
        &schema_version.to_be_bytes(),
        &position.to_be_bytes(),
        batch_hash,
        payload,
    ];
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    Hash(hasher.finalize().into())
}
