//! The plugin inventory view.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Page, PluginFilter, PluginKey, PluginRole, PluginRow, StoreError};
use tokio_postgres::Row;

use super::{
    Parameter, PostgresViewStore,
    columns::{count, get, parsed, stored, text, text_if_any, time_if_any},
    query::{Query, not_a_cursor},
    upsert::{Change, Upsert},
};

const COLUMNS: &str = "tenant, name, role, pipelines, attempts, failures, last_used_at, \
     last_failed_at, last_error";

/// Inserts or replaces rows.
pub(super) fn write(rows: &[&PluginRow]) -> Change {
    let number = |value: fn(&PluginRow) -> u64| rows.iter().map(|row| stored(value(row))).collect();
    let time = |value: fn(&PluginRow) -> Option<Timestamp>| {
        rows.iter().map(|row| value(row).map(Timestamp::as_micros)).collect()
    };
    let errors = rows.iter().map(|row| text_if_any(row.last_error.as_ref())).collect();
    Upsert::into("plugin", &["tenant", "name", "role"])
        .column::<i64>("pipelines", "bigint", number(|row| row.pipelines))
        .column::<i64>("attempts", "bigint", number(|row| row.attempts))
        .column::<i64>("failures", "bigint", number(|row| row.failures))
        .column::<Option<i64>>("last_used_at", "bigint", time(|row| row.last_used_at))
        .column::<Option<i64>>("last_failed_at", "bigint", time(|row| row.last_failed_at))
        .column::<String>("tenant", "text", rows.iter().map(|row| text(&row.key.tenant)).collect())
        .column::<String>("name", "text", rows.iter().map(|row| text(&row.key.name)).collect())
        .column::<String>("role", "text", rows.iter().map(|row| row.key.role.to_string()).collect())
        .column::<Option<String>>("last_error", "text", errors)
        .build()
}

/// The plugins with these keys.
pub(super) async fn find_by_keys(
    views: &PostgresViewStore,
    keys: &[PluginKey],
) -> Result<Vec<PluginRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM unnest($1::text[], $2::text[], $3::text[]) k (tenant, name, role) \
         JOIN flexcore.view_#_plugin USING (tenant, name, role)"
    );
    let tenants: Vec<_> = keys.iter().map(|key| text(&key.tenant)).collect();
    let names: Vec<_> = keys.iter().map(|key| text(&key.name)).collect();
    let roles: Vec<_> = keys.iter().map(|key| key.role.to_string()).collect();
    let keys: [Parameter; 3] = [Box::new(tenants), Box::new(names), Box::new(roles)];
    views.rows(&sql, &keys).await?.iter().map(plugin).collect()
}

/// A page, by name and role.
pub(super) async fn list(
    views: &PostgresViewStore,
    filter: &PluginFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<PluginRow>, StoreError> {
    let mut query = Query::new("plugin", COLUMNS);
    query.and("tenant = ?", [Box::new(text(&filter.tenant))]);
    if let Some(role) = filter.role {
        query.and("role = ?", [Box::new(role.to_string())]);
    }
    if let Some(after) = after {
        let (role, name) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        let role: PluginRole = role.parse().map_err(|_| not_a_cursor(after))?;
        query.and("(name, role) > (?, ?)", [Box::new(text(name)), Box::new(role.to_string())]);
    }
    let next = |row: &PluginRow| format!("{}/{}", row.key.role, row.key.name);
    query.page(views, "name, role", limit, plugin, next).await
}

fn plugin(row: &Row) -> Result<PluginRow, StoreError> {
    let name: String = get(row, "name")?;
    let role = parsed(get::<&str>(row, "role")?.parse(), &name)?;
    Ok(PluginRow {
        key: PluginKey { tenant: get::<&str>(row, "tenant")?.into(), name, role },
        pipelines: count(row, "pipelines")?,
        attempts: count(row, "attempts")?,
        failures: count(row, "failures")?,
        last_used_at: time_if_any(row, "last_used_at")?,
        last_failed_at: time_if_any(row, "last_failed_at")?,
        last_error: get(row, "last_error")?,
    })
}
