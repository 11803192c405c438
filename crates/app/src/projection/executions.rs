//! The execution history view.

use std::collections::BTreeSet;

use flexcore_domain::{ExecutionStatus, execution::ExecutionEvent};
use flexcore_ports::{ExecutionRow, KEPT_FROM_NOTE, RowKey, ViewRow};

use super::{
    Projection, View,
    fact::{DomainEvent, Fact},
    known::status_after,
    rows::Rows,
};

/// Folds executions.
pub(super) struct ExecutionHistory;

impl Projection for ExecutionHistory {
    fn name(&self) -> &'static str {
        View::Executions.name()
    }

    fn reads(&self, event_type: &str) -> bool {
        matches!(
            event_type,
            "PipelineExecutionCreated"
                | "PipelineExecutionStarted"
                | "PipelineExecutionCompleted"
                | "PipelineExecutionFailed"
                | "PipelineExecutionCancelled"
                | "PipelineExecutionRetried"
        )
    }

    fn needs(&self, fact: &Fact<'_>, _rows: &Rows, keys: &mut BTreeSet<RowKey>) {
        if let DomainEvent::Execution(id, _) = fact.event {
            keys.insert(RowKey::Execution(*id));
            keys.insert(RowKey::Note(KEPT_FROM_NOTE.to_owned()));
        }
    }

    fn fold(&self, rows: &mut Rows, fact: &Fact<'_>) -> Result<(), String> {
        let DomainEvent::Execution(id, event) = fact.event else { return Ok(()) };
        if let ExecutionEvent::Created(order) = event {
            rows.put(ViewRow::Execution(ExecutionRow {
                id: order.id,
                tenant: fact.tenant(),
                pipeline_id: order.pipeline_id,
                pipeline: order.pipeline.clone(),
                version: order.version,
                status: ExecutionStatus::Queued.as_str().to_owned(),
                environment: order.environment.clone(),
                run_key: order.run_key.clone(),
                created_at: order.created_at,
                started_at: None,
                ended_at: None,
                error: None,
            }));
            return Ok(());
        }
        let some_were_removed = rows.note(KEPT_FROM_NOTE).is_some();
        let Some(row) = rows.execution(*id) else {
            // One that was removed for its age and is run again now is not shown again.
            return if some_were_removed { Ok(()) } else { Err("its execution has no row".into()) };
        };
        let Some(status) = status_after(event) else { return Ok(()) };
        status.as_str().clone_into(&mut row.status);
        row.ended_at = status.has_ended().then(|| fact.at());
        row.error = match event {
            ExecutionEvent::Failed { step, error } => Some(format!("{step}: {error}")),
            _ => None,
        };
        if let ExecutionEvent::Started { at, .. } = event {
            row.started_at = row.started_at.or(Some(*at));
        }
        Ok(())
    }
}
