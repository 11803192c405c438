//! The data stream view.

use flexcore_domain::PipelineId;
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    BookmarkSummary, DataStreamFilter, DataStreamRow, Page, SchemaSummary, StoreError, SyncSummary,
};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    PostgresViewStore,
    columns::{
        count, count_or_zero, execution_if_any, get, parsed, stored, text, text_if_any, time,
        time_if_any,
    },
    query::{Query, not_a_cursor},
    upsert::{Change, Upsert},
};

const COLUMNS: &str = "stream, environment, pipeline_id, pipeline, state, item, tap, target, \
     holder, bookmark_streams, bookmark_positions, bookmark_at, bookmark_execution, syncs, \
     records, bytes, schemas, sync_execution, sync_outcome, sync_started_at, sync_ended_at, \
     sync_records, sync_bytes";

/// Inserts or replaces rows.
pub(super) fn write(rows: &[&DataStreamRow]) -> Change {
    let of = |value: fn(&DataStreamRow) -> String| rows.iter().map(|row| value(row)).collect();
    let number =
        |value: fn(&DataStreamRow) -> u64| rows.iter().map(|row| stored(value(row))).collect();
    let optional =
        |value: fn(&DataStreamRow) -> Option<String>| rows.iter().map(|row| value(row)).collect();
    let some = |value: fn(&DataStreamRow) -> Option<i64>| {
        rows.iter().map(|row| value(row)).collect::<Vec<_>>()
    };
    let id = |value: fn(&DataStreamRow) -> Option<Uuid>| {
        rows.iter().map(|row| value(row)).collect::<Vec<_>>()
    };
    let with_keys = Upsert::into("data_stream", &["stream"])
        .column::<Uuid>("pipeline_id", "uuid", rows.iter().map(|row| row.pipeline_id.0).collect())
        .column("holder", "uuid", id(|row| Some(row.holder?.0)))
        .column("bookmark_execution", "uuid", id(|row| Some(row.bookmark.as_ref()?.execution?.0)))
        .column("sync_execution", "uuid", id(|row| Some(row.last_sync.as_ref()?.execution.0)))
        .column::<String>("stream", "text", of(|row| row.stream.to_string()))
        .column::<String>("tenant", "text", of(|row| text(&row.stream.tenant())))
        .column::<String>("environment", "text", of(|row| row.environment.to_string()))
        .column::<String>("pipeline", "text", of(|row| row.pipeline.to_string()))
        .column::<String>("state", "text", of(|row| text(&row.state)))
        .column::<Option<String>>("item", "text", optional(|row| text_if_any(row.item.as_ref())))
        .column::<Option<String>>("tap", "text", optional(|row| text_if_any(row.tap.as_ref())))
        .column::<Option<String>>(
            "target",
            "text",
            optional(|row| text_if_any(row.target.as_ref())),
        );
    let bookmark = |row: &DataStreamRow| {
        let streams = row.bookmark.as_ref()?.streams.iter().map(|stream| text(stream));
        Some(streams.collect::<Value>().to_string())
    };
    let outcome = |row: &DataStreamRow| Some(text(&row.last_sync.as_ref()?.outcome));
    let sync_number = |value: fn(&SyncSummary) -> u64| {
        let of = |row: &&DataStreamRow| row.last_sync.as_ref().map(|sync| stored(value(sync)));
        rows.iter().map(of).collect::<Vec<_>>()
    };
    with_keys
        .column::<i64>("syncs", "bigint", number(|row| row.syncs))
        .column::<i64>("records", "bigint", number(|row| row.records))
        .column::<i64>("bytes", "bigint", number(|row| row.bytes))
        .column::<String>("schemas", "text", of(schemas_text))
        .column::<Option<String>>("bookmark_streams", "text", optional(bookmark))
        .column(
            "bookmark_positions",
            "bigint",
            some(|row| Some(stored(row.bookmark.as_ref()?.positions))),
        )
        .column("bookmark_at", "bigint", some(|row| micros(row.bookmark.as_ref()?.updated_at)))
        .column::<Option<String>>("sync_outcome", "text", optional(outcome))
        .column("sync_started_at", "bigint", some(|row| micros(row.last_sync.as_ref()?.started_at)))
        .column("sync_ended_at", "bigint", some(|row| micros(row.last_sync.as_ref()?.ended_at?)))
        .column("sync_records", "bigint", sync_number(|sync| sync.records))
        .column("sync_bytes", "bigint", sync_number(|sync| sync.bytes))
        .build()
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where there may be none")]
fn micros(time: Timestamp) -> Option<i64> {
    Some(time.as_micros())
}

/// The data streams with these event streams.
pub(super) async fn find_by_names(
    views: &PostgresViewStore,
    names: &[StreamName],
) -> Result<Vec<DataStreamRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM flexcore.view_#_data_stream WHERE stream = ANY($1)");
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    views.rows(&sql, &[Box::new(names)]).await?.iter().map(data_stream).collect()
}

/// A page, by pipeline and event stream.
pub(super) async fn list(
    views: &PostgresViewStore,
    filter: &DataStreamFilter,
    limit: usize,
    after: Option<&str>,
) -> Result<Page<DataStreamRow>, StoreError> {
    let mut query = Query::new("data_stream", COLUMNS);
    query.and("tenant = ?", [Box::new(text(&filter.tenant))]);
    if let Some(pipeline) = &filter.pipeline {
        query.and("pipeline = ?", [Box::new(pipeline.to_string())]);
    }
    if let Some(environment) = &filter.environment {
        query.and("environment = ?", [Box::new(environment.to_string())]);
    }
    if let Some(after) = after {
        let (pipeline, stream) = after.split_once('/').ok_or_else(|| not_a_cursor(after))?;
        query
            .and("(pipeline, stream) > (?, ?)", [Box::new(text(pipeline)), Box::new(text(stream))]);
    }
    let next = |row: &DataStreamRow| format!("{}/{}", row.pipeline, row.stream);
    query.page(views, "pipeline, stream", limit, data_stream, next).await
}

fn schemas_text(row: &DataStreamRow) -> String {
    let one = |schema: &SchemaSummary| {
        json!([text(&schema.stream), schema.versions, schema.seen_at.as_micros()])
    };
    Value::Array(row.schemas.iter().map(one).collect()).to_string()
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

fn data_stream(row: &Row) -> Result<DataStreamRow, StoreError> {
    let place: &str = get(row, "stream")?;
    Ok(DataStreamRow {
        stream: parsed(place.parse(), place)?,
        environment: parsed(get::<&str>(row, "environment")?.parse(), place)?,
        pipeline_id: PipelineId(get(row, "pipeline_id")?),
        pipeline: parsed(get::<&str>(row, "pipeline")?.parse(), place)?,
        state: get(row, "state")?,
        item: get(row, "item")?,
        tap: get(row, "tap")?,
        target: get(row, "target")?,
        holder: execution_if_any(row, "holder")?,
        bookmark: bookmark(row, place)?,
        syncs: count(row, "syncs")?,
        records: count(row, "records")?,
        bytes: count(row, "bytes")?,
        schemas: parsed(schemas_of(get(row, "schemas")?), place)?,
        last_sync: sync(row)?,
    })
}

fn bookmark(row: &Row, place: &str) -> Result<Option<BookmarkSummary>, StoreError> {
    let Some(streams) = get::<Option<&str>>(row, "bookmark_streams")? else { return Ok(None) };
    Ok(Some(BookmarkSummary {
        streams: parsed(serde_json::from_str(streams), place)?,
        positions: count_or_zero(row, "bookmark_positions")?,
        updated_at: time(row, "bookmark_at")?,
        execution: execution_if_any(row, "bookmark_execution")?,
    }))
}

fn sync(row: &Row) -> Result<Option<SyncSummary>, StoreError> {
    let Some(execution) = execution_if_any(row, "sync_execution")? else { return Ok(None) };
    Ok(Some(SyncSummary {
        execution,
        outcome: get(row, "sync_outcome")?,
        started_at: time(row, "sync_started_at")?,
        ended_at: time_if_any(row, "sync_ended_at")?,
        records: count_or_zero(row, "sync_records")?,
        bytes: count_or_zero(row, "sync_bytes")?,
    }))
}
