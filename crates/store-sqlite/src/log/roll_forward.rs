//! Brings `stream` up to the end of the log when the store opens.

use std::collections::HashMap;

use flexcore_event_codec::{StoredWrite, decode_writes};
use flexcore_eventsourcing::{Epoch, Hash, Timestamp, stream_head};
use flexcore_ports::{LogHead, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    group::LogEnd,
    row::{blob, integer},
    schema::HEADS_THROUGH,
    statements::Statements,
};
use crate::error::store_error;

/// The end of the log, from its last batch.
pub(crate) fn log_end(connection: &Connection) -> Result<LogEnd, StoreError> {
    let row = |row: &Row<'_>| {
        Ok(LogEnd {
            head: LogHead { position: row.get(0)?, batch: row.get(1)?, hash: Hash(row.get(2)?) },
            committed_at: Timestamp::from_micros(row.get(3)?),
        })
    };
    let sql = "SELECT last_position, number, hash, committed_at FROM batch \
               ORDER BY last_position DESC LIMIT 1";
    let empty = LogEnd {
        head: LogHead { position: 0, batch: 0, hash: Hash::ZERO },
        committed_at: Timestamp::from_micros(i64::MIN),
    };
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([], row).optional())
        .map(|end| end.unwrap_or(empty))
        .map_err(|error| store_error(&error, "the last batch"))
}

/// Folds the batches that rows of `stream` do not take into account yet, and writes the rows.
///
/// After a clean close there are none. After a crash there are at most those of one checkpoint
/// interval of the WAL.
pub(crate) fn roll_forward(connection: &Connection) -> Result<LogEnd, StoreError> {
    let end = log_end(connection)?;
    let through = heads_through(connection)?;
    if through > end.head.position {
        return Err(StoreError::Corrupt {
            place: format!("position {}", end.head.position),
            reason: format!("the log ends there, but once had an event at position {through}"),
        });
    }
    if through < end.head.position {
        let ends = fold(connection, through)?;
        write(connection, &ends, end.head.position)
            .map_err(|error| store_error(&error, "table stream"))?;
    }
    Ok(end)
}

/// The last position that every row of `stream` takes into account.
pub(crate) fn heads_through(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [HEADS_THROUGH], |row| row.get(0))
        .map_err(|error| store_error(&error, "table meta"))
}

type Ends = HashMap<i64, (u64, Hash, Epoch)>;

fn fold(connection: &Connection, through: u64) -> Result<Ends, StoreError> {
    let place = |position: u64| format!("the batch that ends at position {position}");
    let failed = |error: rusqlite::Error| store_error(&error, place(through));
    let mut leaves = connection
        .prepare("SELECT leaf FROM event WHERE position > ?1 ORDER BY position")
        .map_err(failed)?;
    let mut leaves = leaves.query([through.cast_signed()]).map_err(failed)?;
    let mut batches = connection
        .prepare(
            "SELECT last_position, writes FROM batch WHERE last_position > ?1 \
             ORDER BY last_position",
        )
        .map_err(failed)?;
    let mut batches = batches.query([through.cast_signed()]).map_err(failed)?;
    let mut ends = Ends::new();
    let mut own = Vec::new();
    while let Some(batch) = batches.next().map_err(failed)? {
        let last: u64 = integer(batch, 0).ok_or_else(|| unreadable(place(through)))?;
        let writes =
            blob(batch, 1).and_then(decode_writes).ok_or_else(|| unreadable(place(last)))?;
        for write in writes {
            own.clear();
            for _ in 0..write.count {
                let row = leaves.next().map_err(|error| store_error(&error, place(last)))?;
                let leaf = row.and_then(|row| blob(row, 0)).and_then(Hash::from_slice);
                own.push(leaf.ok_or_else(|| unreadable(place(last)))?);
            }
            add(connection, &mut ends, &write, &own)
                .map_err(|error| store_error(&error, place(last)))?
                .ok_or_else(|| unreadable(place(last)))?;
        }
    }
    Ok(ends)
}

/// Adds one write to its stream's end; `None` if it does not follow it.
fn add(
    connection: &Connection,
    ends: &mut Ends,
    write: &StoredWrite,
    leaves: &[Hash],
) -> rusqlite::Result<Option<()>> {
    let (version, head, owner) = match ends.get(&write.stream_id) {
        Some(end) => *end,
        None => connection
            .prepare_cached("SELECT version, head, owner_epoch FROM stream WHERE id = ?1")?
            .query_row([write.stream_id], |row| {
                Ok((row.get(0)?, Hash(row.get(1)?), Epoch(row.get(2)?)))
            })?,
    };
    if write.first_version != version + 1 {
        return Ok(None);
    }
    let owner = owner.max(write.fence.unwrap_or_default());
    let end = (version + u64::from(write.count), stream_head(head, leaves), owner);
    ends.insert(write.stream_id, end);
    Ok(Some(()))
}

fn write(connection: &Connection, ends: &Ends, position: u64) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    let mut rows = Statements::prepare(&transaction)?;
    for (id, (version, head, owner)) in ends {
        rows.update_stream((*id, *version, *head, *owner))?;
    }
    rows.mark_heads(position)?;
    drop(rows);
    transaction.commit()
}

fn unreadable(place: String) -> StoreError {
    StoreError::Corrupt { place, reason: "it does not fit the events".to_owned() }
}
