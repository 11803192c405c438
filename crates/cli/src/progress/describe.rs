//! Events of a running execution in a few words.

use flexcore_domain::{SkipCause, StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::Timestamp;

use crate::text::{Style, bytes_text, count_text, duration_text, printable};

/// What an event means to somebody who watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happened<'a> {
    /// The step; `None`: the execution as a whole.
    pub(crate) step: Option<&'a StepId>,
    /// What it means for the step's display.
    pub(crate) turn: Turn,
    /// What happened.
    pub(crate) text: String,
}

/// What an event means for the display of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// An attempt began.
    Began,
    /// The step did its work.
    Completed,
    /// An attempt failed.
    Failed,
    /// Another attempt is due.
    Waits,
    /// The step will not run, or ended early.
    Dropped,
    /// Nothing changes for a step.
    Told,
}

impl Turn {
    /// The mark in front of a line.
    pub(crate) fn mark(self, style: Style) -> String {
        match self {
            Self::Began | Self::Told => style.cyan("•"),
            Self::Completed => style.green("✓"),
            Self::Failed => style.red("✗"),
            Self::Waits => style.yellow("↻"),
            Self::Dropped => style.dim("–"),
        }
    }
}

/// What is worth showing of an event; the end of the execution is the summary's to tell.
pub(crate) fn describe(event: &ExecutionEvent, now: Timestamp) -> Option<Happened<'_>> {
    let of_step = |step, turn, text: String| Some(Happened { step: Some(step), turn, text });
    match event {
        ExecutionEvent::StepStarted { step, attempt: 1, .. } => {
            of_step(step, Turn::Began, "started".to_owned())
        }
        ExecutionEvent::StepStarted { step, attempt, .. } => {
            of_step(step, Turn::Began, format!("started, attempt {attempt}"))
        }
        ExecutionEvent::StepCompleted { step, duration, counts, .. } => {
            let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            let (records, bytes) = (count_text(counts.records), bytes_text(counts.bytes));
            let moved = match counts.records + counts.bytes {
                0 => String::new(),
                _ => format!(", {records} records, {bytes}"),
            };
            let text = format!("completed in {}{moved}", duration_text(millis));
            of_step(step, Turn::Completed, text)
        }
        ExecutionEvent::StepFailed { step, attempt, error, .. } => {
            let first = printable(error.message.lines().next().unwrap_or_default());
            of_step(
                step,
                Turn::Failed,
                format!("attempt {attempt} failed ({}): {first}", error.reason.as_str()),
            )
        }
        ExecutionEvent::StepRetryScheduled { step, due_at } => {
            let wait = u64::try_from(due_at.duration_since(now).as_millis()).unwrap_or(u64::MAX);
            of_step(step, Turn::Waits, format!("next attempt in {}", duration_text(wait)))
        }
        ExecutionEvent::StepSkipped { step, cause } => {
            let cause = match cause {
                SkipCause::Condition => "its condition is false",
                SkipCause::Upstream => "what it needs did not end as it runs on",
            };
            of_step(step, Turn::Dropped, format!("skipped: {cause}"))
        }
        ExecutionEvent::StepCancelled { step } => {
            of_step(step, Turn::Dropped, "cancelled".to_owned())
        }
        ExecutionEvent::CancellationRequested { reason } => {
            let reason = reason.as_deref().map(|reason| format!(": {}", printable(reason)));
            let text = format!("cancellation requested{}", reason.unwrap_or_default());
            Some(Happened { step: None, turn: Turn::Told, text })
        }
        ExecutionEvent::Created(_)
        | ExecutionEvent::StepSandboxed { .. }
        | ExecutionEvent::StepCapabilitiesUsed { .. }
        | ExecutionEvent::Claimed { .. }
        | ExecutionEvent::Started { .. }
        | ExecutionEvent::Retried { .. }
        | ExecutionEvent::Completed
        | ExecutionEvent::Failed { .. }
        | ExecutionEvent::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flexcore_domain::{ErrorClass, FailureReason, StepCounts, StepError, StoredOutput};

    use super::*;

    fn text(event: &ExecutionEvent) -> Option<String> {
        describe(event, Timestamp::from_micros(0)).map(|happened| happened.text)
    }

    #[test]
    fn what_a_watcher_wants_to_know_is_told() {
        let step: StepId = "load".parse().unwrap();
        let completed = ExecutionEvent::StepCompleted {
            step: step.clone(),
            attempt: 1,
            output: StoredOutput::Inline(serde_json::Value::Null),
            duration: Duration::from_millis(1_250),
            counts: StepCounts { records: 48_000, bytes: 2_048 },
        };
        assert_eq!(text(&completed).unwrap(), "completed in 1.2 s, 48,000 records, 2.0 KiB");
        let failed = ExecutionEvent::StepFailed {
            step: step.clone(),
            attempt: 2,
            error: StepError {
                reason: FailureReason::Attempt(ErrorClass::ExitCode),
                message: "tap ended\u{7} with 1\nmore".to_owned(),
                exit_code: Some(1),
                stderr_tail: vec![],
            },
            retryable: true,
        };
        assert_eq!(
            text(&failed).unwrap(),
            "attempt 2 failed (exit_code): tap ended\u{fffd} with 1"
        );
        let retry =
            ExecutionEvent::StepRetryScheduled { step, due_at: Timestamp::from_micros(2_000_000) };
        assert_eq!(text(&retry).unwrap(), "next attempt in 2.0 s");
        assert_eq!(text(&ExecutionEvent::Completed), None);
    }
}
