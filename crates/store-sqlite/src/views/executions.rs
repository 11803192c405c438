//! The execution history view.

use std::{str::FromStr, sync::Arc};

use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{ExecutionFilter, ExecutionRow, Expiring, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value};
use uuid::Uuid;

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "id, tenant, pipeline_id, pipeline, version, status, environment, run_key, \
     created_at, started_at, ended_at, error";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &ExecutionRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO execution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            row.id.0.as_bytes(),
            &*row.tenant,
            row.pipeline_id.0.as_bytes(),
            row.pipeline.as_str(),
            row.version,
            &row.status,
            row.environment.as_str(),
            &row.run_key,
            row.created_at.as_micros(),
            row.started_at.map(Timestamp::as_micros),
            row.ended_at.map(Timestamp::as_micros),
            &row.error,
        ))
        .map(drop)
}

/// The execution with that id, whoever's it is.
pub(crate) fn find(
    connection: &Connection,
    id: ExecutionId,
) -> Result<Option<ExecutionRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM execution WHERE id = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row([id.0.as_bytes()], |row| Ok(execution(row))).optional()
        })
        .map_err(|error| store_error(&error, "table execution"))?
        .transpose()
}

/// A page, newest first; with an id prefix by id, so that the index of ids gives the order.
pub(crate) fn list(
    connection: &Connection,
    filter: &ExecutionFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<ExecutionRow>, StoreError> {
    let next = |row: &ExecutionRow| format!("{}/{}", row.created_at.as_micros(), row.id.0.simple());
    match select(filter, after)? {
        Some((query, order)) => query.page(connection, order, limit, execution, next),
        None => Ok(Page { items: Vec::new(), next: None }),
    }
}

/// The query and its order; `None` if nothing can match.
fn select(
    filter: &ExecutionFilter,
    after: Option<&str>,
) -> Result<Option<(Query, &'static str)>, StoreError> {
    let after = after.map(cursor).transpose()?;
    let mut query = Query::new("execution", COLUMNS);
    let pipeline = filter.pipeline.as_ref().map(|name| name.as_str().to_owned());
    let tenant = [filter.tenant.to_string()];
    if let Some(prefix) = &filter.id_prefix {
        let Some(range) = ExecutionFilter::id_range(prefix) else { return Ok(None) };
        query.and("id BETWEEN ? AND ?", range.map(|id| id.into_bytes().to_vec()));
        query.and("+tenant = ?", tenant);
        narrow(&mut query, filter, pipeline);
        if let Some((_, id)) = after {
            query.and("id < ?", [id.into_bytes().to_vec()]);
        }
        return Ok(Some((query, "id DESC")));
    }
    query.and("tenant = ?", tenant);
    if let Some(run_key) = &filter.run_key {
        query.and("run_key = ?", [run_key.clone()]);
        narrow(&mut query, filter, pipeline);
    } else {
        query.each_of("status", &filter.statuses);
        if let Some(pipeline) = pipeline {
            query.and("pipeline = ?", [pipeline]);
        }
    }
    if let Some((created_at, id)) = after {
        let key: [Value; 2] = [created_at.into(), id.into_bytes().to_vec().into()];
        query.and("(created_at, id) < (?, ?)", key);
    }
    Ok(Some((query, "created_at DESC, id DESC")))
}

/// Adds conditions that no index is to be chosen for: a unary plus hides a column from them.
fn narrow(query: &mut Query, filter: &ExecutionFilter, pipeline: Option<String>) {
    query.any_of("+status", &filter.statuses);
    if let Some(pipeline) = pipeline {
        query.and("+pipeline = ?", [pipeline]);
    }
    if let (Some(run_key), Some(_)) = (&filter.run_key, &filter.id_prefix) {
        query.and("+run_key = ?", [run_key.clone()]);
    }
}

/// Those of all tenants that are not at their end, the oldest first.
pub(crate) fn unfinished(
    connection: &Connection,
    limit: usize,
) -> Result<Vec<ExecutionRow>, StoreError> {
    // The statuses stand in the statement: only so is the index of unfinished ones chosen.
    let sql = format!(
        "SELECT {COLUMNS} FROM execution WHERE status IN ('queued', 'running') \
         ORDER BY created_at, id LIMIT ?1"
    );
    let failed = |error: rusqlite::Error| store_error(&error, "table execution");
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let mut rows = statement.query([limit]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(execution(row)?);
    }
    Ok(found)
}

/// Old rows of all tenants. The index of times is asked for each tenant, and each tenant is found by
/// a step in it.
const OF_ALL: &str = "tenant IN (WITH RECURSIVE one(tenant) AS (SELECT min(tenant) FROM execution \
     UNION ALL SELECT (SELECT min(tenant) FROM execution WHERE tenant > one.tenant) FROM one \
     WHERE one.tenant IS NOT NULL) SELECT tenant FROM one) AND created_at < ?1 \
     AND lower(hex(pipeline_id)) NOT IN (SELECT value FROM json_each(?2))";

/// Which rows are old: the condition, and its values after the time.
fn old(of: &Expiring) -> (&'static str, Vec<Value>) {
    match of {
        Expiring::AllBut(pipelines) => {
            let ids: Vec<String> = pipelines.iter().map(|id| id.0.simple().to_string()).collect();
            (OF_ALL, vec![serde_json::Value::from(ids).to_string().into()])
        }
        Expiring::OfPipeline { tenant, name, id } => {
            let condition =
                "created_at < ?1 AND tenant = ?2 AND pipeline = ?3 AND pipeline_id = ?4";
            let id = id.0.into_bytes().to_vec();
            (condition, vec![tenant.to_string().into(), name.to_string().into(), id.into()])
        }
    }
}

const ENDED: &str = "status IN ('completed', 'failed', 'cancelled')";

/// Removes some of those that were created before `time` and have ended; gives back how many.
pub(crate) fn remove_some(
    connection: &Connection,
    time: Timestamp,
    of: &Expiring,
    most: u64,
) -> rusqlite::Result<u64> {
    let (condition, values) = old(of);
    let sql = format!(
        "DELETE FROM execution WHERE id IN \
         (SELECT id FROM execution WHERE {condition} AND {ENDED} LIMIT {most})"
    );
    let values = std::iter::once(time.as_micros().into()).chain(values);
    Ok(connection.prepare_cached(&sql)?.execute(params_from_iter(values))? as u64)
}

/// How many executions were created before a time and have ended.
pub(crate) fn count_before(
    connection: &Connection,
    time: Timestamp,
    of: &Expiring,
) -> rusqlite::Result<u64> {
    let (condition, values) = old(of);
    let sql = format!("SELECT count(*) FROM execution WHERE {condition} AND {ENDED}");
    let values = std::iter::once(Value::from(time.as_micros())).chain(values);
    connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))
}

fn cursor(token: &str) -> Result<(i64, Uuid), StoreError> {
    let parts = token.split_once('/');
    parts
        .and_then(|(time, id)| Some((time.parse().ok()?, Uuid::try_parse(id).ok()?)))
        .ok_or_else(|| not_a_cursor(token))
}

fn execution(row: &Row<'_>) -> Result<ExecutionRow, StoreError> {
    let read = || -> rusqlite::Result<_> {
        let id = ExecutionId(Uuid::from_bytes(row.get(0)?));
        let texts: [String; 3] = [row.get(1)?, row.get(3)?, row.get(6)?];
        Ok((id, texts))
    };
    let (id, [tenant, pipeline, environment]) =
        read().map_err(|error| store_error(&error, "table execution"))?;
    let place = id.to_string();
    let pipeline = parsed(PipelineName::from_str(&pipeline), &place)?;
    let environment = parsed(EnvironmentName::from_str(&environment), &place)?;
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
    };
    let rest = || -> rusqlite::Result<ExecutionRow> {
        Ok(ExecutionRow {
            id,
            tenant: Arc::from(tenant),
            pipeline_id: PipelineId(Uuid::from_bytes(row.get(2)?)),
            pipeline,
            version: row.get(4)?,
            status: row.get(5)?,
            environment,
            run_key: row.get(7)?,
            created_at: Timestamp::from_micros(row.get(8)?),
            started_at: time(9)?,
            ended_at: time(10)?,
            error: row.get(11)?,
        })
    };
    rest().map_err(|error| corrupt(&place, &error))
}

#[cfg(test)]
mod tests {
    use super::{super::schema::VIEWS, *};

    #[test]
    fn lists_walk_an_index_and_never_sort_or_scan() {
        let connection = VIEWS.in_memory().unwrap();
        let statuses =
            |some: &[&str]| some.iter().map(|status| (*status).to_owned()).collect::<Vec<_>>();
        let pipelines = [None, Some(PipelineName::from_str("flights").unwrap())];
        let keys = [None, Some("nightly".to_owned())];
        let prefixes = [None, Some("ex_01".to_owned())];
        let cursor = format!("5/{}", Uuid::nil().simple());
        for statuses in [statuses(&[]), statuses(&["failed"]), statuses(&["queued", "running"])] {
            for (pipeline, run_key) in
                pipelines.iter().flat_map(|p| keys.iter().map(move |k| (p, k)))
            {
                for (id_prefix, after) in
                    prefixes.iter().flat_map(|p| [None, Some(cursor.as_str())].map(|a| (p, a)))
                {
                    let filter = ExecutionFilter {
                        tenant: "default".into(),
                        pipeline: pipeline.clone(),
                        statuses: statuses.clone(),
                        run_key: run_key.clone(),
                        id_prefix: id_prefix.clone(),
                    };
                    let (query, order) = select(&filter, after).unwrap().unwrap();
                    let plan = query.plan(&connection, order);
                    let scans = |step: &String| {
                        step.starts_with("SCAN execution") && !step.contains("USING INDEX")
                    };
                    // A page of each status is merged: that sorts no more than a page.
                    let sorts = |steps: &[String]| {
                        steps[1].contains("TEMP B-TREE") && !steps[0].starts_with("SCAN (")
                    };
                    let is_bad = plan.iter().any(scans) || plan.windows(2).any(sorts);
                    assert!(!is_bad, "{filter:?}: {plan:#?}");
                }
            }
        }
    }
}
