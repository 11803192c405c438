//! The plugin inventory view.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Page, PluginFilter, PluginKey, PluginRole, PluginRow, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "tenant, name, role, pipelines, attempts, failures, last_used_at, \
     last_failed_at, last_error";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &PluginRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO plugin VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute((
            &*row.key.tenant,
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

/// The tenant's plugin with that name and role.
pub(crate) fn find(
    connection: &Connection,
    key: &PluginKey,
) -> Result<Option<PluginRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM plugin WHERE tenant = ?1 AND name = ?2 AND role = ?3");
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            let key = (&*key.tenant, &key.name, key.role.as_str());
            statement.query_row(key, |row| Ok(plugin(row))).optional()
        })
        .map_err(|error| store_error(&error, "table plugin"))?
        .transpose()
}

/// A page, by name and role.
pub(crate) fn list(
    connection: &Connection,
    filter: &PluginFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<PluginRow>, StoreError> {
    let mut query = Query::new("plugin", COLUMNS);
    query.and("tenant = ?", [filter.tenant.to_string()]);
    if let Some(role) = filter.role {
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
    let read = || -> rusqlite::Result<[String; 3]> { Ok([row.get(0)?, row.get(1)?, row.get(2)?]) };
    let [tenant, name, role] = read().map_err(|error| store_error(&error, "table plugin"))?;
    let place = format!("plugin {name}");
    let role = parsed(role.parse(), &place)?;
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
    };
    let rest = || -> rusqlite::Result<PluginRow> {
        Ok(PluginRow {
            key: PluginKey { tenant: tenant.into(), name, role },
            pipelines: row.get(3)?,
            attempts: row.get(4)?,
            failures: row.get(5)?,
            last_used_at: time(6)?,
            last_failed_at: time(7)?,
            last_error: row.get(8)?,
        })
    };
    rest().map_err(|error| corrupt(&place, &error))
}
