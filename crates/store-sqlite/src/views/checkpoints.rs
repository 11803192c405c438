//! How far each projection has come, and who may move it on.

use flexcore_eventsourcing::{Epoch, Hash};
use flexcore_ports::{ApplyError, Checkpoint, ProjectionStatus, Stopped, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use super::seal::seal;
use crate::error::store_error;

/// Where all projections stand, by name.
///
/// # Errors
/// [`StoreError::Corrupt`] if one of them is not what was written.
pub(crate) fn statuses(connection: &Connection) -> Result<Vec<ProjectionStatus>, StoreError> {
    let sql = "SELECT projection, position, hash, epoch, seal, stopped_position, stopped_reason \
               FROM checkpoint ORDER BY projection";
    let read = || -> rusqlite::Result<Vec<_>> {
        connection.prepare_cached(sql)?.query_map([], sealed)?.collect()
    };
    let rows = read().map_err(|error| store_error(&error, "table checkpoint"))?;
    rows.into_iter().map(unseal).collect()
}

/// The checkpoints of all projections, by name.
///
/// # Errors
/// [`StoreError::Corrupt`] if one of them is not what was written.
pub(crate) fn all(connection: &Connection) -> Result<Vec<(String, Checkpoint)>, StoreError> {
    let statuses = statuses(connection)?.into_iter();
    Ok(statuses.filter_map(|status| Some((status.name, status.checkpoint?))).collect())
}

/// Why a fold that read its rows at `after` comes too late; `None`: it does not.
pub(crate) fn refusal(
    connection: &Connection,
    projection: &str,
    after: Option<Checkpoint>,
    epoch: Epoch,
) -> rusqlite::Result<Option<ApplyError>> {
    let found = connection
        .prepare_cached("SELECT position, hash, epoch FROM checkpoint WHERE projection = ?1")?
        .query_row([projection], |row| Ok((known(row, 0)?, Epoch(row.get(2)?))))
        .optional()?;
    let (checkpoint, owner) = found.unwrap_or((None, Epoch(0)));
    let projection = projection.to_owned();
    Ok(if epoch < owner {
        Some(ApplyError::Fenced { projection, epoch, owner })
    } else if checkpoint != after {
        Some(ApplyError::Moved { projection })
    } else {
        None
    })
}

/// Replaces where one projection stands.
pub(crate) fn write(connection: &Connection, status: &ProjectionStatus) -> rusqlite::Result<()> {
    let none = Checkpoint { position: 0, hash: Hash::ZERO };
    let Checkpoint { position, hash } = status.checkpoint.unwrap_or(none);
    let seal = seal_of(status);
    let stopped = status.stopped.as_ref();
    connection
        .prepare_cached("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?, ?, ?, ?)")?
        .execute((
            &status.name,
            position,
            hash.0,
            status.epoch.0,
            seal.0,
            stopped.map(|stopped| stopped.position),
            stopped.map(|stopped| &stopped.reason),
        ))
        .map(drop)
}

fn known(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Checkpoint>> {
    let checkpoint = Checkpoint { position: row.get(column)?, hash: Hash(row.get(column + 1)?) };
    Ok((checkpoint.position > 0).then_some(checkpoint))
}

fn sealed(row: &Row<'_>) -> rusqlite::Result<(ProjectionStatus, Hash)> {
    let position: Option<u64> = row.get(5)?;
    let reason: Option<String> = row.get(6)?;
    let status = ProjectionStatus {
        name: row.get(0)?,
        checkpoint: known(row, 1)?,
        epoch: Epoch(row.get(3)?),
        stopped: position.zip(reason).map(|(position, reason)| Stopped { position, reason }),
    };
    Ok((status, Hash(row.get(4)?)))
}

fn unseal((status, seal): (ProjectionStatus, Hash)) -> Result<ProjectionStatus, StoreError> {
    if seal_of(&status) == seal {
        Ok(status)
    } else {
        Err(StoreError::Corrupt {
            place: format!("the checkpoint of view `{}`", status.name),
            reason: "it does not have the hash it was stored with".to_owned(),
        })
    }
}

fn seal_of(status: &ProjectionStatus) -> Hash {
    let position = status.checkpoint.map_or(0, |checkpoint| checkpoint.position);
    let hash = status.checkpoint.map_or(Hash::ZERO, |checkpoint| checkpoint.hash);
    let epoch = status.epoch.0.to_be_bytes();
    seal(&[status.name.as_bytes(), &position.to_be_bytes(), &hash.0, &epoch])
}
