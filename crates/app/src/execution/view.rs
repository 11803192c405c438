//! An execution as callers see it, folded from its events.

use std::collections::BTreeMap;

use flexcore_api::{AttemptErrorView, ExecutionView, StepSandboxView, StepView, TimelineEntry};
use flexcore_domain::{
    Execution, ExecutionStatus, StepCounts, StepId, StepProgress, StepState, StoredOutput,
    execution::ExecutionEvent,
};
use flexcore_eventsourcing::{RecordedEvent, Timestamp};
use serde_json::{Value, json};

use super::audit::{isolation_view, sandboxed_text, use_view, uses_text};
use crate::format_time;

/// What the state of an execution does not hold: times, counts and the timeline.
#[derive(Debug, Default)]
pub(super) struct ViewBuilder {
    started: BTreeMap<StepId, Timestamp>,
    ended: BTreeMap<StepId, u64>,
    counts: BTreeMap<StepId, StepCounts>,
    sandboxes: BTreeMap<StepId, StepSandboxView>,
    ended_at: Option<Timestamp>,
    timeline: Vec<TimelineEntry>,
}

impl ViewBuilder {
    pub(super) fn add(&mut self, recorded: &RecordedEvent, event: &ExecutionEvent) {
        let at = recorded.event.occurred_at;
        match event {
            ExecutionEvent::StepStarted { step, .. } => {
                self.started.insert(step.clone(), at);
                self.ended.remove(step);
            }
            ExecutionEvent::StepSandboxed { step, attempt, isolation, granted, refused } => {
                let programs = isolation.iter().map(isolation_view).collect();
                let (granted, refused) = (granted.clone(), refused.clone());
                let view =
                    StepSandboxView { attempt: *attempt, programs, granted, refused, uses: vec![] };
                self.sandboxes.insert(step.clone(), view);
            }
            ExecutionEvent::StepCapabilitiesUsed { step, attempt, uses } => {
                let sandbox = self.sandboxes.get_mut(step);
                if let Some(sandbox) = sandbox.filter(|sandbox| sandbox.attempt == *attempt) {
                    sandbox.uses = uses.iter().map(use_view).collect();
                }
            }
            ExecutionEvent::StepCompleted { step, duration, counts, .. } => {
                self.ended.insert(step.clone(), millis(duration.as_millis()));
                self.counts.insert(step.clone(), *counts);
            }
            ExecutionEvent::StepFailed { step, .. } | ExecutionEvent::StepCancelled { step } => {
                if let Some(begin) = self.started.get(step) {
                    let elapsed = at.duration_since(*begin);
                    self.ended.insert(step.clone(), millis(elapsed.as_millis()));
                }
            }
            ExecutionEvent::Completed
            | ExecutionEvent::Failed { .. }
            | ExecutionEvent::Cancelled => self.ended_at = Some(at),
            ExecutionEvent::Retried { .. } => self.ended_at = None,
            _ => {}
        }
        self.timeline.push(timeline_entry(recorded, event));
    }

    pub(super) fn build(self, execution: &Execution, now: Timestamp) -> ExecutionView {
        let order = &execution.order;
        let running_until = self.ended_at.unwrap_or(now);
        let elapsed = execution.started_at.map(|begin| running_until.duration_since(begin));
        let steps = order.steps.iter().filter_map(|id| Some((id, execution.steps.get(id)?)));
        let steps = steps.map(|(id, progress)| self.step(id, progress)).collect();
        ExecutionView {
            id: order.id.to_string(),
            pipeline: order.pipeline.to_string(),
            version: order.version,
            environment: order.environment.to_string(),
            status: execution.status.as_str().to_owned(),
            cancel_requested: execution.cancel_requested
                && execution.status != ExecutionStatus::Cancelled,
            params: order.params.clone(),
            run_key: order.run_key.clone(),
            created_at: format_time(order.created_at),
            started_at: execution.started_at.map(format_time),
            ended_at: self.ended_at.map(format_time),
            duration_ms: elapsed.map(|elapsed| millis(elapsed.as_millis())),
            steps,
            timeline: self.timeline,
        }
    }

    fn step(&self, id: &StepId, progress: &StepProgress) -> StepView {
        let state = &progress.state;
        let output = match state {
            StepState::Completed { output } => Some(shown(output)),
            _ => None,
        };
        let moves_records = |output: &Value| output.get("records").is_some();
        let counts = self.counts.get(id).filter(|counts| {
            counts.records + counts.bytes > 0 || output.as_ref().is_some_and(moves_records)
        });
        let records = counts.map(|counts| counts.records);
        let bytes = counts.map(|counts| counts.bytes);
        StepView {
            id: id.to_string(),
            status: state.as_str().to_owned(),
            skip_cause: match state {
                StepState::Skipped { cause } => Some(cause.as_str().to_owned()),
                _ => None,
            },
            attempts: progress.attempts,
            started_at: self.started.get(id).copied().map(format_time),
            duration_ms: self.ended.get(id).copied(),
            due_at: match state {
                StepState::Waiting { due_at } => Some(format_time(*due_at)),
                _ => None,
            },
            output,
            records,
            bytes,
            error: match state {
                StepState::Failed { error } => Some(AttemptErrorView {
                    reason: error.reason.as_str().to_owned(),
                    message: error.message.clone(),
                    exit_code: error.exit_code,
                    stderr_tail: error.stderr_tail.clone(),
                }),
                _ => None,
            },
            sandbox: self.sandboxes.get(id).cloned(),
        }
    }
}

/// An event in a line.
pub(super) fn timeline_entry(recorded: &RecordedEvent, event: &ExecutionEvent) -> TimelineEntry {
    let (step, detail) = describe(event);
    TimelineEntry {
        at: format_time(recorded.event.occurred_at),
        position: recorded.position,
        event: recorded.event.type_name.to_string(),
        step: step.map(ToString::to_string),
        detail,
    }
}

/// A large output is shown by its reference.
fn shown(output: &StoredOutput) -> Value {
    match output {
        StoredOutput::Inline(value) => value.clone(),
        StoredOutput::Artifact { sha256, size } => {
            json!({ "$artifact": { "sha256": sha256.to_string(), "size": size } })
        }
    }
}

fn millis(millis: u128) -> u64 {
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// What an event is about and says, in a few words.
fn describe(event: &ExecutionEvent) -> (Option<&StepId>, Option<String>) {
    match event {
        ExecutionEvent::Created(order) => {
            (None, Some(format!("version {}, environment {}", order.version, order.environment)))
        }
        ExecutionEvent::Claimed { node, epoch } => {
            (None, Some(format!("by {node}, epoch {epoch}")))
        }
        ExecutionEvent::StepStarted { step, attempt, .. } => {
            (Some(step), Some(format!("attempt {attempt}")))
        }
        ExecutionEvent::StepSandboxed { step, isolation, refused, .. } => {
            (Some(step), Some(sandboxed_text(isolation, refused)))
        }
        ExecutionEvent::StepCapabilitiesUsed { step, uses, .. } => {
            (Some(step), Some(uses_text(uses)))
        }
        ExecutionEvent::StepCompleted { step, duration, .. } => {
            (Some(step), Some(format!("after {} ms", duration.as_millis())))
        }
        ExecutionEvent::StepFailed { step, error, .. } => {
            let first = error.message.lines().next().unwrap_or_default();
            (Some(step), Some(format!("{}: {first}", error.reason.as_str())))
        }
        ExecutionEvent::StepRetryScheduled { step, due_at } => {
            (Some(step), Some(format!("due {}", format_time(*due_at))))
        }
        ExecutionEvent::StepSkipped { step, cause } => {
            (Some(step), Some(cause.as_str().to_owned()))
        }
        ExecutionEvent::StepCancelled { step } => (Some(step), None),
        ExecutionEvent::CancellationRequested { reason } => (None, reason.clone()),
        ExecutionEvent::Failed { step, error } => (Some(step), Some(error.clone())),
        ExecutionEvent::Retried { steps } => {
            let steps: Vec<_> = steps.iter().map(StepId::as_str).collect();
            (None, Some(steps.join(", ")))
        }
        ExecutionEvent::Started { .. } | ExecutionEvent::Completed | ExecutionEvent::Cancelled => {
            (None, None)
        }
    }
}
