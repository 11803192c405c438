//! The execution history view, in a partition for each month.

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{ExecutionFilter, ExecutionRow, Page, StoreError};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    PostgresViewStore,
    columns::{get, parsed, small, text, text_if_any, time, time_if_any},
    query::{Query, not_a_cursor},
    upsert::{Change, Upsert},
};

const COLUMNS: &str = "id, tenant, pipeline_id, pipeline, version, status, environment, run_key, \
     created_at, started_at, ended_at, error";

/// Inserts or replaces rows.
pub(super) fn write(rows: &[&ExecutionRow]) -> Change {
    let of = |value: fn(&ExecutionRow) -> String| rows.iter().map(|row| value(row)).collect();
    let number = |value: fn(&ExecutionRow) -> i64| rows.iter().map(|row| value(row)).collect();
    let optional =
        |value: fn(&ExecutionRow) -> Option<String>| rows.iter().map(|row| value(row)).collect();
    let time = |value: fn(&ExecutionRow) -> Option<Timestamp>| {
        rows.iter().map(|row| value(row).map(Timestamp::as_micros)).collect()
    };
    Upsert::into("execution", &["id", "created_at"])
        .column::<Uuid>("id", "uuid", rows.iter().map(|row| row.id.0).collect())
        .column::<Uuid>("pipeline_id", "uuid", rows.iter().map(|row| row.pipeline_id.0).collect())
        .column::<i64>("created_at", "bigint", number(|row| row.created_at.as_micros()))
        .column::<Option<i64>>("started_at", "bigint", time(|row| row.started_at))
        .column::<Option<i64>>("ended_at", "bigint", time(|row| row.ended_at))
        .column::<i64>("version", "bigint", number(|row| row.version.into()))
        .column::<String>("tenant", "text", of(|row| text(&row.tenant)))
        .column::<String>("pipeline", "text", of(|row| row.pipeline.to_string()))
        .column::<String>("status", "text", of(|row| text(&row.status)))
        .column::<String>("environment", "text", of(|row| row.environment.to_string()))
        .column::<Option<String>>(
            "run_key",
            "text",
            optional(|row| text_if_any(row.run_key.as_ref())),
        )
        .column::<Option<String>>("error", "text", optional(|row| text_if_any(row.error.as_ref())))
        .build()
}

/// The executions with these ids.
pub(super) async fn find_by_ids(
    views: &PostgresViewStore,
    ids: Vec<Uuid>,
) -> Result<Vec<ExecutionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM flexcore.view_#_execution WHERE id = ANY($1)");
    views.rows(&sql, &[Box::new(ids)]).await?.iter().map(execution).collect()
}

/// A page, newest first; with an id prefix by id.
pub(super) async fn list(
    views: &PostgresViewStore,
    filter: &ExecutionFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<ExecutionRow>, StoreError> {
    let next = |row: &ExecutionRow| format!("{}/{}", row.created_at.as_micros(), row.id.0.simple());
    match select(filter, after)? {
        Some((query, order)) => query.page(views, order, limit, execution, next).await,
        None => Ok(Page { items: Vec::new(), next: None }),
    }
}

/// The query and its order; `None` if nothing can match.
pub(super) fn select(
    filter: &ExecutionFilter,
    after: Option<&str>,
) -> Result<Option<(Query, &'static str)>, StoreError> {
    let after = after.map(cursor).transpose()?;
    let mut query = Query::new("execution", COLUMNS);
    if let Some(prefix) = &filter.id_prefix {
        let Some([first, last]) = ExecutionFilter::id_range(prefix) else { return Ok(None) };
        query.and("id BETWEEN ? AND ?", [Box::new(first), Box::new(last)]);
        query.and("tenant || '' = ?", [Box::new(text(&filter.tenant))]);
        narrow(&mut query, filter);
        if let Some((_, id)) = after {
            query.and("id < ?", [Box::new(id)]);
        }
        return Ok(Some((query, "id DESC")));
    }
    query.and("tenant = ?", [Box::new(text(&filter.tenant))]);
    if let Some(run_key) = &filter.run_key {
        query.and("run_key = ?", [Box::new(run_key.clone())]);
        narrow(&mut query, filter);
    } else {
        query.each_of("status", &filter.statuses);
        if let Some(pipeline) = &filter.pipeline {
            query.and("pipeline = ?", [Box::new(pipeline.to_string())]);
        }
    }
    if let Some((created_at, id)) = after {
        // The second condition says the same of whole partitions.
        query.and("(created_at, id) < (?, ?)", [Box::new(created_at), Box::new(id)]);
        query.and("created_at <= ?", [Box::new(created_at)]);
    }
    Ok(Some((query, "created_at DESC, id DESC")))
}

/// Adds conditions that no index is to be chosen for: an expression hides a column from them.
fn narrow(query: &mut Query, filter: &ExecutionFilter) {
    query.any_of("status || ''", &filter.statuses);
    if let Some(pipeline) = &filter.pipeline {
        query.and("pipeline || '' = ?", [Box::new(pipeline.to_string())]);
    }
    if let (Some(run_key), Some(_)) = (&filter.run_key, &filter.id_prefix) {
        query.and("run_key || '' = ?", [Box::new(run_key.clone())]);
    }
}

/// Those of all tenants that are not at their end, the oldest first.
pub(super) async fn unfinished(
    views: &PostgresViewStore,
    limit: usize,
) -> Result<Vec<ExecutionRow>, StoreError> {
    // The statuses stand in the statement: only so is the index of unfinished ones chosen.
    let sql = format!(
        "SELECT {COLUMNS} FROM flexcore.view_#_execution \
         WHERE status IN ('queued', 'running') ORDER BY created_at, id LIMIT $1"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    views.rows(&sql, &[Box::new(limit)]).await?.iter().map(execution).collect()
}

fn cursor(token: &str) -> Result<(i64, Uuid), StoreError> {
    let parts = token.split_once('/');
    parts
        .and_then(|(time, id)| Some((time.parse().ok()?, Uuid::try_parse(id).ok()?)))
        .ok_or_else(|| not_a_cursor(token))
}

fn execution(row: &Row) -> Result<ExecutionRow, StoreError> {
    let id = ExecutionId(get(row, "id")?);
    let place = id.to_string();
    Ok(ExecutionRow {
        id,
        tenant: get::<&str>(row, "tenant")?.into(),
        pipeline_id: PipelineId(get(row, "pipeline_id")?),
        pipeline: parsed(get::<&str>(row, "pipeline")?.parse(), &place)?,
        version: small(row, "version")?,
        status: get(row, "status")?,
        environment: parsed(get::<&str>(row, "environment")?.parse(), &place)?,
        run_key: get(row, "run_key")?,
        created_at: time(row, "created_at")?,
        started_at: time_if_any(row, "started_at")?,
        ended_at: time_if_any(row, "ended_at")?,
        error: get(row, "error")?,
    })
}
