//! Use cases of data streams.

mod get;
mod list;

use flexcore_api::{BookmarkOutline, DataStreamView, SchemaOutline, SyncOutline};
use flexcore_ports::{BookmarkSummary, DataStreamRow, SchemaSummary, SyncSummary};

use crate::format_time;

fn view(row: DataStreamRow) -> DataStreamView {
    DataStreamView {
        stream: row.stream.to_string(),
        pipeline: row.pipeline.to_string(),
        environment: row.environment.to_string(),
        state: row.state,
        item: row.item,
        tap: row.tap,
        target: row.target,
        holder: row.holder.map(|id| id.to_string()),
        bookmark: row.bookmark.map(bookmark),
        syncs: row.syncs,
        records: row.records,
        bytes: row.bytes,
        schemas: row.schemas.into_iter().map(schema).collect(),
        last_sync: row.last_sync.map(sync),
    }
}

fn bookmark(bookmark: BookmarkSummary) -> BookmarkOutline {
    BookmarkOutline {
        streams: bookmark.streams,
        positions: bookmark.positions,
        updated_at: format_time(bookmark.updated_at),
        execution: bookmark.execution.map(|id| id.to_string()),
    }
}

fn schema(schema: SchemaSummary) -> SchemaOutline {
    let seen_at = format_time(schema.seen_at);
    SchemaOutline { stream: schema.stream, versions: schema.versions, seen_at }
}

fn sync(sync: SyncSummary) -> SyncOutline {
    SyncOutline {
        execution: sync.execution.to_string(),
        outcome: sync.outcome,
        started_at: format_time(sync.started_at),
        ended_at: sync.ended_at.map(format_time),
        records: sync.records,
        bytes: sync.bytes,
    }
}
