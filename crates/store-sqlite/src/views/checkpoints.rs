//! How far each projection has come.

use flexcore_eventsourcing::Hash;
use flexcore_ports::{Checkpoint, StoreError};
use rusqlite::{Connection, Row};

use super::seal::seal;
use crate::error::store_error;

/// The checkpoints of all projections, by name.
///
/// # Errors
/// [`StoreError::Corrupt`] if one of them is not what was written.
pub(crate) fn all(connection: &Connection) -> Result<Vec<(String, Checkpoint)>, StoreError> {
    let sql = "SELECT projection, position, hash, seal FROM checkpoint ORDER BY projection";
    let read = || -> rusqlite::Result<Vec<_>> {
        connection.prepare_cached(sql)?.query_map([], sealed)?.collect()
    };
    let rows = read().map_err(|error| store_error(&error, "table checkpoint"))?;
    rows.into_iter().map(unseal).collect()
}

/// The checkpoint of one projection.
pub(crate) fn find(
    connection: &Connection,
    projection: &str,
) -> Result<Option<Checkpoint>, StoreError> {
    let found = all(connection)?.into_iter().find(|(name, _)| name == projection);
    Ok(found.map(|(_, checkpoint)| checkpoint))
}

/// Replaces the checkpoint of one projection.
pub(crate) fn write(
    connection: &Connection,
    projection: &str,
    checkpoint: Checkpoint,
) -> rusqlite::Result<()> {
    let seal = seal_of(projection, checkpoint);
    connection
        .prepare_cached("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?)")?
        .execute((projection, checkpoint.position, checkpoint.hash.0, seal.0))
        .map(drop)
}

type Sealed = (String, Checkpoint, Hash);

fn sealed(row: &Row<'_>) -> rusqlite::Result<Sealed> {
    let checkpoint = Checkpoint { position: row.get(1)?, hash: Hash(row.get(2)?) };
    Ok((row.get(0)?, checkpoint, Hash(row.get(3)?)))
}

fn unseal((projection, checkpoint, seal): Sealed) -> Result<(String, Checkpoint), StoreError> {
    if seal_of(&projection, checkpoint) == seal {
        Ok((projection, checkpoint))
    } else {
        Err(StoreError::Corrupt {
            place: format!("the checkpoint of view `{projection}`"),
            reason: "it does not have the hash it was stored with".to_owned(),
        })
    }
}

fn seal_of(projection: &str, checkpoint: Checkpoint) -> Hash {
    seal(&[projection.as_bytes(), &checkpoint.position.to_be_bytes(), &checkpoint.hash.0])
}
