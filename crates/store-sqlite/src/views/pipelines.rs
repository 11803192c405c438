//! The pipeline status view.

use std::str::FromStr;

use flexcore_domain::{PipelineId, PipelineName};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{Page, PipelineFilter, PipelineRow, StoreError};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use uuid::Uuid;

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "id, tenant, name, status, version, description, owner, tags, steps, \
     created_at, updated_at";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &PipelineRow) -> rusqlite::Result<()> {
    let description = row.description.as_deref().unwrap_or_default();
    let search = format!("{}\n{description}", row.name).to_lowercase();
    let tags = serde_json::Value::from(row.tags.clone()).to_string();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO pipeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            row.id.0.as_bytes(),
            &*row.tenant,
            row.name.as_str(),
            &row.status,
            row.version,
            &row.description,
            &row.owner,
            tags,
            row.steps,
            row.created_at.as_micros(),
            row.updated_at.as_micros(),
            search,
        ))
        .map(drop)
}

/// The tenant's pipeline of that name. A name that was given up and taken again belongs to the newest one
/// that is not archived.
pub(crate) fn find(
    connection: &Connection,
    tenant: &str,
    name: &PipelineName,
) -> Result<Option<PipelineRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pipeline WHERE tenant = ?1 AND name = ?2 \
         ORDER BY status = 'archived', created_at DESC, id DESC LIMIT 1"
    );
    find_by(connection, &sql, (tenant, name.as_str()))
}

/// The pipeline with that id.
pub(crate) fn find_by_id(
    connection: &Connection,
    id: PipelineId,
) -> Result<Option<PipelineRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM pipeline WHERE id = ?1");
    find_by(connection, &sql, (id.0.as_bytes(),))
}

/// The tenants that have pipelines. Each is found by a step in the index, so that it does not matter
/// how many pipelines there are.
pub(crate) fn tenants(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(
            "WITH RECURSIVE one(tenant) AS (SELECT min(tenant) FROM pipeline UNION ALL \
             SELECT (SELECT min(tenant) FROM pipeline WHERE tenant > one.tenant) FROM one \
             WHERE one.tenant IS NOT NULL) SELECT tenant FROM one WHERE tenant IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// A page, by name.
pub(crate) fn list(
    connection: &Connection,
    filter: &PipelineFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<PipelineRow>, StoreError> {
    let mut query = Query::new("pipeline", COLUMNS);
    query.and("tenant = ?", [filter.tenant.to_string()]);
    query.any_of("status", &filter.statuses);
    if let Some(owner) = &filter.owner {
        query.and("owner = ?", [owner.clone()]);
    }
    if let Some(tag) = &filter.tag {
        query.and("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", [tag.clone()]);
    }
    if let Some(text) = &filter.text {
        query.and("instr(search, ?) > 0", [text.to_lowercase()]);
    }
    if let Some((name, id)) = after.map(cursor).transpose()? {
        query.and(
            "(name, id) > (?, ?)",
            [name.into(), id.as_bytes().to_vec().into()] as [rusqlite::types::Value; 2],
        );
    }
    query.page(connection, "name, id", limit, pipeline, |row| {
        format!("{}/{}", row.name, row.id.0.simple())
    })
}

fn cursor(token: &str) -> Result<(String, Uuid), StoreError> {
    let parts = token.split_once('/');
    parts
        .and_then(|(name, id)| Some((name.to_owned(), Uuid::try_parse(id).ok()?)))
        .ok_or_else(|| not_a_cursor(token))
}

fn find_by(
    connection: &Connection,
    sql: &str,
    key: impl Params,
) -> Result<Option<PipelineRow>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(key, |row| Ok(pipeline(row))).optional())
        .map_err(|error| store_error(&error, "table pipeline"))?
        .transpose()
}

fn pipeline(row: &Row<'_>) -> Result<PipelineRow, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let id = PipelineId(Uuid::from_bytes(row.get(0)?));
        let (tenant, name, tags): (String, String, String) =
            (row.get(1)?, row.get(2)?, row.get(7)?);
        Ok((id, tenant, name, tags))
    };
    let (id, tenant, name, tags) = read().map_err(|error| store_error(&error, "table pipeline"))?;
    let place = id.to_string();
    let name = parsed(PipelineName::from_str(&name), &place)?;
    let tags = parsed(serde_json::from_str(&tags), &place)?;
    let rest = || -> rusqlite::Result<PipelineRow> {
        Ok(PipelineRow {
            id,
            tenant: tenant.into(),
            name,
            status: row.get(3)?,
            version: row.get(4)?,
            description: row.get(5)?,
            owner: row.get(6)?,
            tags,
            steps: row.get(8)?,
            created_at: Timestamp::from_micros(row.get(9)?),
            updated_at: Timestamp::from_micros(row.get(10)?),
        })
    };
    rest().map_err(|error| corrupt(&place, &error))
}
