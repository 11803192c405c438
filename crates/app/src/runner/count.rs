//! What is counted of executions: from the events, once they are recorded.

use std::time::Duration;

use flexcore_domain::{
    Execution, ExecutionStatus, StepDefinition, StepId, execution::ExecutionEvent,
};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::metric;

/// An execution that this process drives, for as long as it lives.
pub(super) struct Driven(());

impl Driven {
    pub(super) fn begin() -> Self {
        metrics::gauge!(metric::EXECUTIONS_RUNNING.name).increment(1.0);
        Self(())
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        metrics::gauge!(metric::EXECUTIONS_RUNNING.name).decrement(1.0);
    }
}

/// An execution was given up because somebody else drives it.
pub(super) fn lease_lost() {
    metrics::counter!(metric::LEASES_LOST.name).increment(1);
}

/// An attempt of a step took so long.
pub(super) fn attempt_took(kind: &'static str, elapsed: Duration) {
    metrics::histogram!(metric::STEP_SECONDS.name, "kind" => kind).record(elapsed);
}

/// Counts events that were recorded together, and after which an execution stands like this.
pub(super) fn recorded(
    events: &[ExecutionEvent],
    execution: &Execution,
    steps: &[StepDefinition],
    now: Timestamp,
) {
    let kind = |step: &StepId| {
        let found = steps.iter().find(|definition| definition.id == *step);
        found.map_or("unknown", |definition| definition.kind.as_str())
    };
    for event in events {
        match event {
            ExecutionEvent::Started { .. } => {
                metrics::counter!(metric::EXECUTIONS_STARTED.name).increment(1);
            }
            ExecutionEvent::StepCompleted { step, .. } => attempt_ended(kind(step), "completed"),
            ExecutionEvent::StepFailed { step, .. } => attempt_ended(kind(step), "failed"),
            ExecutionEvent::StepCancelled { step } => attempt_ended(kind(step), "cancelled"),
            ExecutionEvent::StepRetryScheduled { step, .. } => {
                metrics::counter!(metric::STEP_RETRIES.name, "kind" => kind(step)).increment(1);
            }
            ExecutionEvent::StepSkipped { .. } => {
                metrics::counter!(metric::STEPS_SKIPPED.name).increment(1);
            }
            ExecutionEvent::Completed => ended(ExecutionStatus::Completed, execution, now),
            ExecutionEvent::Failed { .. } => ended(ExecutionStatus::Failed, execution, now),
            ExecutionEvent::Cancelled => ended(ExecutionStatus::Cancelled, execution, now),
            ExecutionEvent::Created(_)
            | ExecutionEvent::Claimed { .. }
            | ExecutionEvent::StepStarted { .. }
            | ExecutionEvent::StepSandboxed { .. }
            | ExecutionEvent::StepCapabilitiesUsed { .. }
            | ExecutionEvent::CancellationRequested { .. }
            | ExecutionEvent::Retried { .. } => {}
        }
    }
}

fn attempt_ended(kind: &'static str, outcome: &'static str) {
    let labels = [("kind", kind), ("outcome", outcome)];
    metrics::counter!(metric::STEP_ATTEMPTS.name, &labels).increment(1);
}

fn ended(status: ExecutionStatus, execution: &Execution, now: Timestamp) {
    let status = status.as_str();
    metrics::counter!(metric::EXECUTIONS_ENDED.name, "status" => status).increment(1);
    if let Some(started) = execution.started_at {
        let took = now.duration_since(started);
        metrics::histogram!(metric::EXECUTION_SECONDS.name, "status" => status).record(took);
    }
}
