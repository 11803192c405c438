//! The data stream view.

use std::collections::BTreeSet;

use flexcore_domain::{
    ExecutionId,
    data_stream::{DataStreamEvent, JsonText},
    execution::ExecutionEvent,
};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{BookmarkSummary, DataStreamRow, RowKey, SchemaSummary, SyncSummary, ViewRow};
use serde_json::Value;

use super::{
    Projection, View,
    fact::{DataStreamAddress, DomainEvent, Fact},
    known,
    rows::Rows,
};

/// Folds data streams.
pub(super) struct DataStreams;

impl Projection for DataStreams {
    fn name(&self) -> &'static str {
        View::DataStreams.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        known::reads(event_type)
            || event_type.starts_with("Bookmark")
            || matches!(event_type, "SchemaObserved" | "StepFailed" | "StepCancelled")
    }

    fn needs(&self, fact: &Fact<'_>, rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        known::needs(fact, rows, keys);
        match fact.event {
            DomainEvent::DataStream(..) => {
                keys.insert(RowKey::DataStream(fact.recorded.stream.clone()));
            }
            DomainEvent::Execution(
                id,
                ExecutionEvent::StepFailed { step, .. } | ExecutionEvent::StepCancelled { step },
            ) => {
                keys.extend(stream_of(rows, *id, step).map(RowKey::DataStream));
            }
            _ => {}
        }
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        match fact.event {
            DomainEvent::DataStream(address, event) => {
                let row = row(rows, fact, address)?;
                fold_stream(row, event, fact.at());
            }
            DomainEvent::Execution(id, ExecutionEvent::StepFailed { step, .. }) => {
                end(rows, *id, step, "failed", fact.at());
            }
            DomainEvent::Execution(id, ExecutionEvent::StepCancelled { step }) => {
                end(rows, *id, step, "cancelled", fact.at());
            }
            _ => {}
        }
        known::fold(rows, fact)
    }
}

/// The event stream of the sync that a step of an execution holds.
fn stream_of(rows: &Rows, id: ExecutionId, step: &flexcore_domain::StepId) -> Option<StreamName> {
    known::sync(rows, id, step)?.stream.parse().ok()
}

/// An attempt ended before its sync was recorded.
fn end(
    rows: &mut Rows,
    id: ExecutionId,
    step: &flexcore_domain::StepId,
    outcome: &str,
    at: Timestamp,
) {
    let row = stream_of(rows, id, step).and_then(|stream| rows.data_stream(stream));
    let sync = row.and_then(|row| row.last_sync.as_mut());
    if let Some(sync) = sync.filter(|sync| sync.execution == id) {
        outcome.clone_into(&mut sync.outcome);
        sync.ended_at = Some(at);
    }
}

fn row<'a>(
    rows: &'a mut Rows,
    fact: &Fact<'_>,
    address: &DataStreamAddress,
) -> Result<&'a mut DataStreamRow, String> {
    let stream = &fact.recorded.stream;
    if rows.data_stream(stream.clone()).is_none() {
        let name = &known::pipeline(rows, address.pipeline)?.name;
        let row = DataStreamRow {
            stream: stream.clone(),
            environment: address.environment.clone(),
            pipeline_id: address.pipeline,
            pipeline: name
                .parse()
                .map_err(|error: flexcore_domain::InvalidName| error.to_string())?,
            state: address.state.clone(),
            item: address.item.clone(),
            tap: None,
            target: None,
            holder: None,
            bookmark: None,
            syncs: 0,
            records: 0,
            bytes: 0,
            schemas: vec![],
            last_sync: None,
        };
        rows.put(ViewRow::DataStream(row));
    }
    Ok(rows.data_stream(stream.clone()).expect("it was put there above, if it was missing"))
}

fn fold_stream(row: &mut DataStreamRow, event: &DataStreamEvent, at: Timestamp) {
    match event {
        DataStreamEvent::SyncStarted { execution, plugins } => {
            row.tap = Some(plugins.tap.clone());
            row.target = Some(plugins.target.clone());
            row.holder = Some(*execution);
            row.last_sync = Some(SyncSummary {
                execution: *execution,
                outcome: "running".to_owned(),
                started_at: at,
                ended_at: None,
                records: 0,
                bytes: 0,
            });
        }
        DataStreamEvent::BookmarkAdvanced { execution, state, .. } => {
            row.bookmark = Some(summary(state, at, Some(*execution)));
        }
        DataStreamEvent::BookmarkReset { remaining } => {
            row.bookmark = remaining.as_ref().map(|state| summary(state, at, None));
        }
        DataStreamEvent::BookmarkSet { state } => row.bookmark = Some(summary(state, at, None)),
        DataStreamEvent::SchemaObserved { stream, .. } => {
            let found = row.schemas.iter_mut().find(|schema| schema.stream == *stream);
            if let Some(schema) = found {
                schema.versions += 1;
                schema.seen_at = at;
            } else {
                let schema = SchemaSummary { stream: stream.clone(), versions: 1, seen_at: at };
                row.schemas.push(schema);
                row.schemas.sort_by(|a, b| a.stream.cmp(&b.stream));
            }
        }
        DataStreamEvent::SyncRecorded { execution, counts } => {
            row.holder = None;
            row.syncs += 1;
            row.records = row.records.saturating_add(counts.records);
            row.bytes = row.bytes.saturating_add(counts.bytes);
            if let Some(sync) = row.last_sync.as_mut().filter(|sync| sync.execution == *execution) {
                "completed".clone_into(&mut sync.outcome);
                sync.ended_at = Some(at);
                sync.records = counts.records;
                sync.bytes = counts.bytes;
            }
        }
        DataStreamEvent::BookmarkRefused { .. } | DataStreamEvent::BookmarkKept => {}
    }
}

/// A bookmark without its values. A state of another form than Singer's has no streams.
fn summary(state: &JsonText, at: Timestamp, execution: Option<ExecutionId>) -> BookmarkSummary {
    let state: Value = serde_json::from_str(state.as_str()).unwrap_or_default();
    let bookmarks = state.get("bookmarks").and_then(Value::as_object);
    let streams = bookmarks.map(|all| all.keys().cloned().collect()).unwrap_or_default();
    let positions = bookmarks.map_or(0, |all| all.values().map(positions).sum());
    BookmarkSummary { streams, positions, updated_at: at, execution }
}

/// How many values a part of a state has that are not maps or lists themselves.
fn positions(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => fields.values().map(positions).sum(),
        Value::Array(items) => items.iter().map(positions).sum(),
        Value::Null => 0,
        _ => 1,
    }
}
