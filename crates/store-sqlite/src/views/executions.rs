//! The execution history view.

use std::str::FromStr;

use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::{ExecutionFilter, ExecutionRow, Page, StoreError};
use rusqlite::{Connection, OptionalExtension, Row, types::Value};
use uuid::Uuid;

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "id, pipeline_id, pipeline, version, status, environment, run_key, \
     created_at, started_at, ended_at, error";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &ExecutionRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO execution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            row.id.0.as_bytes(),
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

/// The execution with that id.
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
    if let Some(prefix) = &filter.id_prefix {
        let Some(range) = ExecutionFilter::id_range(prefix) else { return Ok(None) };
        query.and("id BETWEEN ? AND ?", range.map(|id| id.into_bytes().to_vec()));
        narrow(&mut query, filter, pipeline);
        if let Some((_, id)) = after {
            query.and("id < ?", [id.into_bytes().to_vec()]);
        }
        return Ok(Some((query, "id DESC")));
    }
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

/// Removes some of those that were created before `time` and have ended; gives back how many.
pub(crate) fn remove_some(
    connection: &Connection,
    time: Timestamp,
    most: u64,
) -> rusqlite::Result<u64> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM execution WHERE id IN (SELECT id FROM execution WHERE created_at < ?1 \
             AND status IN ('completed', 'failed', 'cancelled') ORDER BY created_at LIMIT ?2)",
        )?
        .execute((time.as_micros(), most))?;
    Ok(removed as u64)
}

/// How many executions were created before a time and have ended.
pub(crate) fn count_before(connection: &Connection, time: Timestamp) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM execution WHERE created_at < ?1 \
             AND status IN ('completed', 'failed', 'cancelled')",
        )?
        .query_row([time.as_micros()], |row| row.get(0))
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
        let (pipeline, environment): (String, String) = (row.get(2)?, row.get(5)?);
        Ok((id, pipeline, environment))
    };
    let (id, pipeline, environment) =
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
            pipeline_id: PipelineId(Uuid::from_bytes(row.get(1)?)),
            pipeline,
            version: row.get(3)?,
            status: row.get(4)?,
            environment,
            run_key: row.get(6)?,
            created_at: Timestamp::from_micros(row.get(7)?),
            started_at: time(8)?,
            ended_at: time(9)?,
            error: row.get(10)?,
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
