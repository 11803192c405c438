//! What an execution accepts, in which state.

use std::time::Duration;

use flexcore_eventsourcing::Timestamp;
use thiserror::Error;

use super::{
    Execution, ExecutionEvent, ExecutionOrder, ExecutionStatus, FailureReason, SkipCause,
    StepAudit, StepCounts, StepError, StepId, StepState, StoredOutput,
};

/// A request to change an execution: from the outside (create, cancel, retry), or from its owner,
/// who reports what came of the actions that were planned.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutionCommand {
    /// Ask for it.
    Create(ExecutionOrder),
    /// Become its owner. Attempts that were running under the former owner are lost.
    Claim {
        /// The node that claims.
        node: String,
    },
    /// Begin it.
    Start {
        /// When it must have ended.
        deadline: Option<Timestamp>,
    },
    /// Begin the next attempt of a step.
    StartStep {
        /// The step.
        step: StepId,
        /// When the attempt must have ended.
        deadline: Option<Timestamp>,
    },
    /// Record what held the running attempt and what it used; its end follows.
    AuditStep {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// What there is to record.
        audit: StepAudit,
    },
    /// The running attempt did its work.
    CompleteStep {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// What later steps read.
        output: StoredOutput,
        /// How long the attempt took.
        duration: Duration,
        /// What it counted.
        counts: StepCounts,
    },
    /// The running attempt failed.
    FailStep {
        /// The step.
        step: StepId,
        /// The attempt's number.
        attempt: u32,
        /// Why.
        error: StepError,
        /// When another try is due; `None`: it failed for good.
        retry_at: Option<Timestamp>,
    },
    /// The step does not run.
    SkipStep {
        /// The step.
        step: StepId,
        /// Why not.
        cause: SkipCause,
    },
    /// The step ended, or never begins, because the execution is being cancelled.
    CancelStep {
        /// The step.
        step: StepId,
    },
    /// Ask for its end.
    RequestCancellation {
        /// Why.
        reason: Option<String>,
    },
    /// End it: every step has ended and those that count did their work.
    Complete,
    /// End it: a step that counts failed.
    Fail {
        /// The first step that failed.
        step: StepId,
    },
    /// End it after a cancellation.
    Cancel,
    /// Run again what did not complete.
    Retry,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExecutionRejection {
    /// There is no such execution.
    #[error("the execution does not exist")]
    NotFound,
    /// It exists already.
    #[error("the execution exists already")]
    AlreadyExists,
    /// It has no steps.
    #[error("an execution needs at least one step")]
    NoSteps,
    /// Its status does not allow it.
    #[error("an execution that is {} cannot be {wanted}", .now.as_str())]
    WrongStatus {
        /// Its status.
        now: ExecutionStatus,
        /// What was asked for.
        wanted: &'static str,
    },
    /// The step is not part of it.
    #[error("step `{0}` is not part of the execution")]
    UnknownStep(StepId),
    /// The step's state, or the number of its attempt, does not allow it.
    #[error("step `{step}` is {now} and cannot be {wanted}")]
    WrongStepState {
        /// The step.
        step: StepId,
        /// Its state.
        now: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}

type Decision = Result<Vec<ExecutionEvent>, ExecutionRejection>;

pub(super) fn decide(
    state: Option<&Execution>,
    command: &ExecutionCommand,
    now: Timestamp,
) -> Decision {
    use ExecutionCommand as C;
    let Some(execution) = state else {
        return match command {
            C::Create(order) if order.steps.is_empty() => Err(ExecutionRejection::NoSteps),
            C::Create(order) => Ok(vec![ExecutionEvent::Created(order.clone())]),
            _ => Err(ExecutionRejection::NotFound),
        };
    };
    match command {
        C::Create(_) => Err(ExecutionRejection::AlreadyExists),
        C::Claim { node } => execution.claim(node),
        C::Start { deadline } => {
            execution.must_be(ExecutionStatus::Queued, "started")?;
            Ok(vec![ExecutionEvent::Started { at: now, deadline: *deadline }])
        }
        C::StartStep { step, deadline } => execution.start_step(step, *deadline),
        C::AuditStep { step, attempt, audit } => {
            execution.must_run(step, *attempt, "audited")?;
            Ok(audited(step, *attempt, audit))
        }
        C::CompleteStep { step, attempt, output, duration, counts } => {
            execution.must_run(step, *attempt, "completed")?;
            Ok(vec![ExecutionEvent::StepCompleted {
                step: step.clone(),
                attempt: *attempt,
                output: output.clone(),
                duration: *duration,
                counts: *counts,
            }])
        }
        C::FailStep { step, attempt, error, retry_at } => {
            execution.must_run(step, *attempt, "failed")?;
            Ok(failure(step, *attempt, error, *retry_at))
        }
        C::SkipStep { step, cause } => execution.skip_step(step, *cause),
        C::CancelStep { step } => execution.cancel_step(step),
        C::RequestCancellation { reason } => execution.request_cancellation(reason.clone()),
        C::Complete => {
            execution.must_have_ended_steps("completed")?;
            Ok(vec![ExecutionEvent::Completed])
        }
        C::Fail { step } => execution.fail(step),
        C::Cancel => {
            execution.must_have_ended_steps("cancelled")?;
            Ok(vec![ExecutionEvent::Cancelled])
        }
        C::Retry => execution.retry(),
    }
}

/// Nothing that did not happen is recorded: programs that never ran, rights that nobody used.
fn audited(step: &StepId, attempt: u32, audit: &StepAudit) -> Vec<ExecutionEvent> {
    let StepAudit { isolation, granted, refused, uses } = audit;
    let sandboxed = (!isolation.is_empty()).then(|| ExecutionEvent::StepSandboxed {
        step: step.clone(),
        attempt,
        isolation: isolation.clone(),
        granted: granted.clone(),
        refused: refused.clone(),
    });
    let used = (!uses.is_empty()).then(|| ExecutionEvent::StepCapabilitiesUsed {
        step: step.clone(),
        attempt,
        uses: uses.clone(),
    });
    [sandboxed, used].into_iter().flatten().collect()
}

fn failure(
    step: &StepId,
    attempt: u32,
    error: &StepError,
    retry_at: Option<Timestamp>,
) -> Vec<ExecutionEvent> {
    let failed = ExecutionEvent::StepFailed {
        step: step.clone(),
        attempt,
        error: error.clone(),
        retryable: retry_at.is_some() || error.reason == FailureReason::NodeLost,
    };
    let scheduled =
        retry_at.map(|due_at| ExecutionEvent::StepRetryScheduled { step: step.clone(), due_at });
    // A lost attempt is due at once, without a timer of its own.
    let scheduled = scheduled.filter(|_| error.reason != FailureReason::NodeLost);
    [Some(failed), scheduled].into_iter().flatten().collect()
}

impl Execution {
    fn claim(&self, node: &str) -> Decision {
        if self.status.has_ended() {
            return Err(self.wrong_status("claimed"));
        }
        let claimed = ExecutionEvent::Claimed { node: node.to_owned(), epoch: self.epoch.next() };
        let lost = self.running().flat_map(|(step, attempt)| {
            let error = StepError {
                reason: FailureReason::NodeLost,
                message: "the process that ran this attempt died".to_owned(),
                exit_code: None,
                stderr_tail: vec![],
            };
            failure(step, attempt, &error, None)
        });
        Ok(std::iter::once(claimed).chain(lost).collect())
    }

    fn start_step(&self, step: &StepId, deadline: Option<Timestamp>) -> Decision {
        self.must_be(ExecutionStatus::Running, "given an attempt")?;
        let progress =
            self.steps.get(step).ok_or_else(|| ExecutionRejection::UnknownStep(step.clone()))?;
        match progress.state {
            StepState::Pending | StepState::Waiting { .. } => {
                Ok(vec![ExecutionEvent::StepStarted {
                    step: step.clone(),
                    attempt: progress.attempts + 1,
                    deadline,
                }])
            }
            _ => Err(self.wrong_step_state(step, "started")),
        }
    }

    fn skip_step(&self, step: &StepId, cause: SkipCause) -> Decision {
        self.must_be(ExecutionStatus::Running, "changed")?;
        match self.step_state(step)? {
            StepState::Pending => {
                Ok(vec![ExecutionEvent::StepSkipped { step: step.clone(), cause }])
            }
            _ => Err(self.wrong_step_state(step, "skipped")),
        }
    }

    fn cancel_step(&self, step: &StepId) -> Decision {
        self.must_be(ExecutionStatus::Running, "changed")?;
        if self.step_state(step)?.has_ended() {
            return Err(self.wrong_step_state(step, "cancelled"));
        }
        Ok(vec![ExecutionEvent::StepCancelled { step: step.clone() }])
    }

    fn request_cancellation(&self, reason: Option<String>) -> Decision {
        if self.status.has_ended() {
            return Err(self.wrong_status("cancelled"));
        }
        if self.cancel_requested {
            return Ok(vec![]);
        }
        Ok(vec![ExecutionEvent::CancellationRequested { reason }])
    }

    fn fail(&self, step: &StepId) -> Decision {
        self.must_have_ended_steps("failed")?;
        match self.step_state(step)? {
            StepState::Failed { error } => Ok(vec![ExecutionEvent::Failed {
                step: step.clone(),
                error: error.message.lines().next().unwrap_or_default().to_owned(),
            }]),
            _ => Err(self.wrong_step_state(step, "what the execution failed with")),
        }
    }

    fn retry(&self) -> Decision {
        if !matches!(self.status, ExecutionStatus::Failed | ExecutionStatus::Cancelled) {
            return Err(self.wrong_status("retried"));
        }
        let again = |state: &StepState| {
            !matches!(
                state,
                StepState::Completed { .. } | StepState::Skipped { cause: SkipCause::Condition }
            )
        };
        let steps = self.steps.iter().filter(|(_, progress)| again(&progress.state));
        Ok(vec![ExecutionEvent::Retried { steps: steps.map(|(step, _)| step.clone()).collect() }])
    }

    fn must_be(
        &self,
        status: ExecutionStatus,
        wanted: &'static str,
    ) -> Result<(), ExecutionRejection> {
        if self.status == status { Ok(()) } else { Err(self.wrong_status(wanted)) }
    }

    fn must_run(
        &self,
        step: &StepId,
        attempt: u32,
        wanted: &'static str,
    ) -> Result<(), ExecutionRejection> {
        self.must_be(ExecutionStatus::Running, "changed")?;
        match self.step_state(step)? {
            StepState::Running { .. } if self.steps[step].attempts == attempt => Ok(()),
            _ => Err(self.wrong_step_state(step, wanted)),
        }
    }

    fn must_have_ended_steps(&self, wanted: &'static str) -> Result<(), ExecutionRejection> {
        self.must_be(ExecutionStatus::Running, wanted)?;
        match self.steps.iter().find(|(_, progress)| !progress.state.has_ended()) {
            None => Ok(()),
            Some((step, _)) => Err(self.wrong_step_state(step, "left behind")),
        }
    }

    fn step_state(&self, step: &StepId) -> Result<&StepState, ExecutionRejection> {
        self.state_of(step).ok_or_else(|| ExecutionRejection::UnknownStep(step.clone()))
    }

    fn wrong_status(&self, wanted: &'static str) -> ExecutionRejection {
        ExecutionRejection::WrongStatus { now: self.status, wanted }
    }

    fn wrong_step_state(&self, step: &StepId, wanted: &'static str) -> ExecutionRejection {
        let now = self.state_of(step).map_or("unknown", StepState::as_str);
        ExecutionRejection::WrongStepState { step: step.clone(), now, wanted }
    }
}
