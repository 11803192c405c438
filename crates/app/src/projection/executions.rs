//! The execution history view.

use flexcore_domain::{Execution, ExecutionStatus, execution::ExecutionEvent};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{Aggregate, RecordedEvent};
use flexcore_ports::ExecutionRow;

use super::{ProjectionError, poisoned, rows::Rows};

/// The events that change a row; the others are left unread.
const CHANGING: [&str; 6] = [
    "PipelineExecutionCreated",
    "PipelineExecutionStarted",
    "PipelineExecutionCompleted",
    "PipelineExecutionFailed",
    "PipelineExecutionCancelled",
    "PipelineExecutionRetried",
];

pub(super) async fn fold(
    rows: &mut Rows<'_>,
    recorded: &RecordedEvent,
) -> Result<(), ProjectionError> {
    let stored = &recorded.event;
    if !CHANGING.contains(&&*stored.type_name) || recorded.stream.category() != Execution::CATEGORY
    {
        return Ok(());
    }
    let event = ExecutionEvent::decode(&stored.type_name, stored.schema_version, &stored.payload)
        .map_err(|error| poisoned(recorded, &error))?;
    if let ExecutionEvent::Created(order) = event {
        rows.put_execution(ExecutionRow {
            id: order.id,
            pipeline_id: order.pipeline_id,
            pipeline: order.pipeline,
            version: order.version,
            status: ExecutionStatus::Queued.as_str().to_owned(),
            environment: order.environment,
            run_key: order.run_key,
            created_at: order.created_at,
            started_at: None,
            ended_at: None,
            error: None,
        });
        return Ok(());
    }
    let key = recorded.stream.parts().nth(2).unwrap_or_default();
    let id =
        key.parse().map_err(|error: flexcore_domain::InvalidName| poisoned(recorded, &error))?;
    let row =
        rows.execution(id).await?.ok_or_else(|| poisoned(recorded, &"its execution has no row"))?;
    let mut end = |status: ExecutionStatus, error: Option<String>| {
        row.status = status.as_str().to_owned();
        row.ended_at = Some(stored.occurred_at);
        row.error = error;
    };
    match event {
        ExecutionEvent::Completed => end(ExecutionStatus::Completed, None),
        ExecutionEvent::Failed { step, error } => {
            end(ExecutionStatus::Failed, Some(format!("{step}: {error}")));
        }
        ExecutionEvent::Cancelled => end(ExecutionStatus::Cancelled, None),
        ExecutionEvent::Started { at, .. } => {
            row.status = ExecutionStatus::Running.as_str().to_owned();
            row.started_at = row.started_at.or(Some(at));
        }
        ExecutionEvent::Retried { .. } => {
            row.status = ExecutionStatus::Queued.as_str().to_owned();
            row.ended_at = None;
            row.error = None;
        }
        _ => {}
    }
    Ok(())
}
