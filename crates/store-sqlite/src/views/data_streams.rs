//! The data stream view.

use flexcore_domain::{ExecutionId, PipelineId};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    BookmarkSummary, DataStreamFilter, DataStreamRow, Page, SchemaSummary, StoreError, SyncSummary,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::query::{Query, corrupt, not_a_cursor, parsed};
use crate::error::store_error;

const COLUMNS: &str = "stream, environment, pipeline_id, pipeline, state, item, tap, target, \
     holder, bookmark_streams, bookmark_positions, bookmark_at, bookmark_execution, syncs, \
     records, bytes, schemas, sync_execution, sync_outcome, sync_started_at, sync_ended_at, \
     sync_records, sync_bytes";

/// Inserts or replaces a row.
pub(crate) fn write(connection: &Connection, row: &DataStreamRow) -> rusqlite::Result<()> {
    let id = |id: ExecutionId| id.0.into_bytes();
    let (bookmark, sync) = (row.bookmark.as_ref(), row.last_sync.as_ref());
    let streams = bookmark.map(|bookmark| Value::from(bookmark.streams.clone()).to_string());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO data_stream VALUES \
             (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            row.stream.as_str(),
            row.stream.tenant(),
            row.environment.as_str(),
            row.pipeline_id.0.as_bytes(),
            row.pipeline.as_str(),
            row.state,
            row.item,
            row.tap,
            row.target,
            row.holder.map(id),
            streams,
            bookmark.map(|bookmark| bookmark.positions),
            bookmark.map(|bookmark| bookmark.updated_at.as_micros()),
            bookmark.and_then(|bookmark| bookmark.execution).map(id),
            row.syncs,
            row.records,
            row.bytes,
            schemas_text(&row.schemas),
            sync.map(|sync| id(sync.execution)),
            sync.map(|sync| sync.outcome.as_str()),
            sync.map(|sync| sync.started_at.as_micros()),
            sync.and_then(|sync| sync.ended_at).map(Timestamp::as_micros),
            sync.map(|sync| sync.records),
            sync.map(|sync| sync.bytes),
        ])
        .map(drop)
}

/// The data stream with that event stream.
pub(crate) fn find(
    connection: &Connection,
    stream: &StreamName,
) -> Result<Option<DataStreamRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM data_stream WHERE stream = ?1");
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row([stream.as_str()], |row| Ok(data_stream(row))).optional()
        })
        .map_err(|error| store_error(&error, "table data_stream"))?
        .transpose()
}

/// A page, by pipeline and event stream.
pub(crate) fn list(
    connection: &Connection,
    filter: &DataStreamFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<DataStreamRow>, StoreError> {
    let mut query = Query::new("data_stream", COLUMNS);
    query.and("tenant = ?", [filter.tenant.to_string()]);
    if let Some(pipeline) = &filter.pipeline {
        query.and("pipeline = ?", [pipeline.as_str().to_owned()]);
    }
    if let Some(environment) = &filter.environment {
        query.and("environment = ?", [environment.as_str().to_owned()]);
    }
    if let Some(after) = after {
        let (pipeline, stream) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        query.and("(pipeline, stream) > (?, ?)", [pipeline.to_owned(), stream.to_owned()]);
    }
    query.page(connection, "pipeline, stream", limit, data_stream, |row| {
        format!("{}/{}", row.pipeline, row.stream)
    })
}

fn schemas_text(schemas: &[SchemaSummary]) -> String {
    let one = |schema: &SchemaSummary| {
        json!([schema.stream, schema.versions, schema.seen_at.as_micros()])
    };
    Value::Array(schemas.iter().map(one).collect()).to_string()
}

fn schemas_of(text: &str) -> Result<Vec<SchemaSummary>, serde_json::Error> {
    let rows: Vec<(String, u64, i64)> = serde_json::from_str(text)?;
    let one = |(stream, versions, seen_at)| SchemaSummary {
        stream,
        versions,
        seen_at: Timestamp::from_micros(seen_at),
    };
    Ok(rows.into_iter().map(one).collect())
}

fn data_stream(row: &Row<'_>) -> Result<DataStreamRow, StoreError> {
    let read = || -> rusqlite::Result<[String; 4]> {
        Ok([row.get(0)?, row.get(1)?, row.get(3)?, row.get(16)?])
    };
    let [place, environment, pipeline, schemas] =
        read().map_err(|error| store_error(&error, "table data_stream"))?;
    let stream = parsed(place.parse(), &place)?;
    let environment = parsed(environment.parse(), &place)?;
    let pipeline = parsed(pipeline.parse(), &place)?;
    let schemas = parsed(schemas_of(&schemas), &place)?;
    let bookmark = bookmark(row, &place)?;
    let rest = || -> rusqlite::Result<DataStreamRow> {
        Ok(DataStreamRow {
            stream,
            environment,
            pipeline_id: PipelineId(Uuid::from_bytes(row.get(2)?)),
            pipeline,
            state: row.get(4)?,
            item: row.get(5)?,
            tap: row.get(6)?,
            target: row.get(7)?,
            holder: execution_id(row, 8)?,
            bookmark,
            syncs: row.get(13)?,
            records: row.get(14)?,
            bytes: row.get(15)?,
            schemas,
            last_sync: sync(row)?,
        })
    };
    rest().map_err(|error| corrupt(&place, &error))
}

fn bookmark(row: &Row<'_>, place: &str) -> Result<Option<BookmarkSummary>, StoreError> {
    let failed = |error: rusqlite::Error| corrupt(place, &error);
    let Some(streams) = row.get::<_, Option<String>>(9).map_err(failed)? else { return Ok(None) };
    let streams = parsed(serde_json::from_str(&streams), place)?;
    let rest = || -> rusqlite::Result<_> {
        Ok(BookmarkSummary {
            streams,
            positions: row.get(10)?,
            updated_at: Timestamp::from_micros(row.get(11)?),
            execution: execution_id(row, 12)?,
        })
    };
    rest().map(Some).map_err(failed)
}

fn sync(row: &Row<'_>) -> rusqlite::Result<Option<SyncSummary>> {
    let Some(execution) = execution_id(row, 17)? else { return Ok(None) };
    Ok(Some(SyncSummary {
        execution,
        outcome: row.get(18)?,
        started_at: Timestamp::from_micros(row.get(19)?),
        ended_at: row.get::<_, Option<i64>>(20)?.map(Timestamp::from_micros),
        records: row.get(21)?,
        bytes: row.get(22)?,
    }))
}

fn execution_id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ExecutionId>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(|bytes| ExecutionId(Uuid::from_bytes(bytes))))
}
