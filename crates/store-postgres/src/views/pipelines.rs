//! The pipeline status view.

use flexcore_domain::{PipelineId, PipelineName};
use flexcore_ports::{Page, PipelineFilter, PipelineRow, StoreError};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    PostgresViewStore,
    columns::{get, parsed, small, text, text_if_any, time},
    query::{Query, not_a_cursor},
    upsert::{Change, Upsert},
};

const COLUMNS: &str = "id, tenant, name, status, version, description, owner, \
     tags::text AS tags, steps, created_at, updated_at";

/// Inserts or replaces rows.
pub(super) fn write(rows: &[&PipelineRow]) -> Change {
    let of = |value: fn(&PipelineRow) -> String| rows.iter().map(|row| value(row)).collect();
    let number = |value: fn(&PipelineRow) -> i64| rows.iter().map(|row| value(row)).collect();
    let optional =
        |value: fn(&PipelineRow) -> Option<String>| rows.iter().map(|row| value(row)).collect();
    Upsert::into("pipeline", &["id"])
        .column::<Uuid>("id", "uuid", rows.iter().map(|row| row.id.0).collect())
        .column::<i64>("created_at", "bigint", number(|row| row.created_at.as_micros()))
        .column::<i64>("updated_at", "bigint", number(|row| row.updated_at.as_micros()))
        .column::<i64>("version", "bigint", number(|row| row.version.into()))
        .column::<i64>("steps", "bigint", number(|row| row.steps.into()))
        .column::<String>("tenant", "text", of(|row| text(&row.tenant)))
        .column::<String>("name", "text", of(|row| row.name.to_string()))
        .column::<String>("status", "text", of(|row| text(&row.status)))
        .column::<Option<String>>(
            "description",
            "text",
            optional(|row| text_if_any(row.description.as_ref())),
        )
        .column::<Option<String>>("owner", "text", optional(|row| text_if_any(row.owner.as_ref())))
        .column::<String>("tags", "jsonb", of(tags_text))
        .column::<String>("search", "text", of(search))
        .build()
}

fn tags_text(row: &PipelineRow) -> String {
    let tags: Vec<_> = row.tags.iter().map(|tag| text(tag)).collect();
    serde_json::Value::from(tags).to_string()
}

/// Name and description in lower case, as Unicode has it.
fn search(row: &PipelineRow) -> String {
    let description = row.description.as_deref().unwrap_or_default();
    text(&format!("{}\n{description}", row.name).to_lowercase())
}

/// The pipelines with these ids.
pub(super) async fn find_by_ids(
    views: &PostgresViewStore,
    ids: Vec<Uuid>,
) -> Result<Vec<PipelineRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM flexcore.view_#_pipeline WHERE id = ANY($1)");
    views.rows(&sql, &[Box::new(ids)]).await?.iter().map(pipeline).collect()
}

/// The tenant's pipeline of that name. A name that was given up and taken again belongs to the newest one
/// that is not archived.
pub(super) async fn find(
    views: &PostgresViewStore,
    tenant: &str,
    name: &PipelineName,
) -> Result<Option<PipelineRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM flexcore.view_#_pipeline WHERE tenant = $1 AND name = $2 \
         ORDER BY status = 'archived', created_at DESC, id DESC LIMIT 1"
    );
    let rows = views.rows(&sql, &[Box::new(text(tenant)), Box::new(name.to_string())]).await?;
    rows.first().map(pipeline).transpose()
}

/// The tenants that have pipelines.
pub(super) async fn tenants(views: &PostgresViewStore) -> Result<Vec<String>, StoreError> {
    let sql = "WITH RECURSIVE one (tenant) AS (SELECT min(tenant) FROM flexcore.view_#_pipeline \
               UNION ALL SELECT (SELECT min(tenant) FROM flexcore.view_#_pipeline \
               WHERE tenant > one.tenant) FROM one WHERE one.tenant IS NOT NULL) \
               SELECT tenant FROM one WHERE tenant IS NOT NULL";
    views.rows(sql, &[]).await?.iter().map(|row| get(row, "tenant")).collect()
}

/// A page, by name.
pub(super) async fn list(
    views: &PostgresViewStore,
    filter: &PipelineFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<PipelineRow>, StoreError> {
    let mut query = Query::new("pipeline", COLUMNS);
    query.and("tenant = ?", [Box::new(text(&filter.tenant))]);
    query.any_of("status", &filter.statuses);
    if let Some(owner) = &filter.owner {
        query.and("owner = ?", [Box::new(owner.clone())]);
    }
    if let Some(tag) = &filter.tag {
        query.and("jsonb_exists(tags, ?)", [Box::new(tag.clone())]);
    }
    if let Some(wanted) = &filter.text {
        query.and("strpos(search, ?) > 0", [Box::new(text(&wanted.to_lowercase()))]);
    }
    if let Some((name, id)) = after.map(cursor).transpose()? {
        query.and("(name, id) > (?, ?)", [Box::new(name), Box::new(id)]);
    }
    let next = |row: &PipelineRow| format!("{}/{}", row.name, row.id.0.simple());
    query.page(views, "name, id", limit, pipeline, next).await
}

fn cursor(token: &str) -> Result<(String, Uuid), StoreError> {
    let parts = token.split_once('/');
    parts
        .and_then(|(name, id)| Some((name.to_owned(), Uuid::try_parse(id).ok()?)))
        .ok_or_else(|| not_a_cursor(token))
}

fn pipeline(row: &Row) -> Result<PipelineRow, StoreError> {
    let id = PipelineId(get(row, "id")?);
    let place = id.to_string();
    Ok(PipelineRow {
        id,
        tenant: get::<&str>(row, "tenant")?.into(),
        name: parsed(get::<&str>(row, "name")?.parse(), &place)?,
        status: get(row, "status")?,
        version: small(row, "version")?,
        description: get(row, "description")?,
        owner: get(row, "owner")?,
        tags: parsed(serde_json::from_str(get(row, "tags")?), &place)?,
        steps: small(row, "steps")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
