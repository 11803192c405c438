//! What projections remember for themselves.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{KEPT_FROM_NOTE, NoteRow, StoreError};
use rusqlite::{Connection, OptionalExtension};

use crate::error::store_error;

/// Inserts, replaces or removes a note.
pub(crate) fn write(
    connection: &Connection,
    projection: &str,
    note: &NoteRow,
) -> rusqlite::Result<()> {
    match &note.value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO note VALUES (?, ?, ?)")?
            .execute((projection, &note.key, value)),
        None => connection
            .prepare_cached("DELETE FROM note WHERE projection = ?1 AND key = ?2")?
            .execute((projection, &note.key)),
    }
    .map(drop)
}

/// A note of a projection, or of the store's own that every projection may read.
pub(crate) fn find(
    connection: &Connection,
    projection: &str,
    key: &str,
) -> Result<Option<NoteRow>, StoreError> {
    let projection = if key == KEPT_FROM_NOTE { "" } else { projection };
    let value: Option<String> = connection
        .prepare_cached("SELECT value FROM note WHERE projection = ?1 AND key = ?2")
        .and_then(|mut statement| {
            statement.query_row((projection, key), |row| row.get(0)).optional()
        })
        .map_err(|error| store_error(&error, "table note"))?;
    Ok(value.map(|value| NoteRow { key: key.to_owned(), value: Some(value) }))
}

/// Notes since when executions that ended are kept; an earlier time changes nothing.
pub(crate) fn keep_from(connection: &Connection, time: Timestamp) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO note VALUES ('', ?1, ?2) ON CONFLICT (projection, key) DO UPDATE SET \
             value = excluded.value \
             WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)",
            (KEPT_FROM_NOTE, time.as_micros().to_string()),
        )
        .map(drop)
}
