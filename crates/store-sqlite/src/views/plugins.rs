//! The plugin inventory view.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Page, PluginKey, PluginRole, PluginRow, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "name, role, pipelines, attempts, failures, last_used_at, last_failed_at, \
     last_error";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &PluginRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO plugin VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute((
            &row.key.name,
            row.key.role.as_str(),
            row.pipelines,
            row.attempts,
            row.failures,
            row.last_used_at.map(Timestamp::as_micros),
            row.last_failed_at.map(Timestamp::as_micros),
            &row.last_error,
        ))
        .map(drop)
}

/// The plugin with that name and role.
pub(crate) fn find(
    connection: &Connection,
    key: &PluginKey,
) -> Result<Option<PluginRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plugin WHERE name = ?1 AND role = ?2");
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let key = (&key.name, key.role.as_str());
            statement.query_row(key, |row| Ok(plugin(row))).optional()
        })
        .map_err(|error| store_error(&error, "table plugin"))?
        .transpose()
}

/// A page, by name and role.
pub(crate) fn list(
    connection: &Connection,
    role: Option<PluginRole>,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<PluginRow>, StoreError> {
    let mut query = Query::new("plugin", COLUMNS);
    if let Some(role) = role {
        query.and("role = ?", [role.as_str().to_owned()]);
    }
    if let Some(after) = after {
        let (role, name) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        let role: PluginRole = role.parse().map_err(|_| not_a_cursor(after))?;
        query.and("(name, role) > (?, ?)", [name.to_owned(), role.as_str().to_owned()]);
    }
    query.page(connection, "name, role", limit, plugin, |row| {
        format!("{}/{}", row.key.role, row.key.name)
    })
}

fn plugin(row: &Row<'_>) -> Result<PluginRow, StoreError> {
    let read = || -> rusqlite::Result<(String, String)> { Ok((row.get(0)?, row.get(1)?)) };
    let (name, role) = read().map_err(|error| store_error(&error, "table plugin"))?;
    let place = format!("plugin {name}");
    let role = parsed(role.parse(), &place)?;
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
    };
    let rest = || -> rusqlite::Result<PluginRow> {
        Ok(PluginRow {
            key: PluginKey { name, role },
            pipelines: row.get(2)?,
            attempts: row.get(3)?,
            failures: row.get(4)?,
            last_used_at: time(5)?,
            last_failed_at: time(6)?,
            last_error: row.get(7)?,
        })
    };
    rest().map_err(|error| corrupt(&place, &error))
}
