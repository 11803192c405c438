//! One transition: what happened and what follows from it, recorded in one append.

use std::sync::atomic::Ordering;

use flexcore_domain::{
    Action, CancelReason, ErrorClass, Execution, FailureReason, Outcome, SkipCause, StepError,
    StepId,
    execution::{ExecutionCommand, ExecutionEvent},
    plan, retry_wait,
};
use flexcore_eventsourcing::{Aggregate, Append, Timestamp};
use flexcore_pipeline_file::RenderedStep;
use flexcore_ports::AppendError;

use super::{
    Evaluation, RunError,
    attempt::{End, Finished},
    count,
    evaluation::render_step,
    session::{Session, apply},
};
use crate::UseCaseError;

/// How often plan and record may alternate in one transition: each round ends at least one step.
const MAX_ROUNDS: usize = 100_000;

/// A transition that is not recorded yet.
struct Draft {
    execution: Execution,
    events: Vec<ExecutionEvent>,
    starts: Vec<Start>,
    cancels: Vec<(StepId, CancelReason)>,
    due_at: Option<Timestamp>,
}

/// An attempt to be started once its start is recorded.
pub(super) struct Start {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) rendered: RenderedStep,
}

impl Draft {
    fn send(&mut self, command: &ExecutionCommand, now: Timestamp) -> Result<(), RunError> {
        let events =
            Execution::decide(Some(&self.execution), command, now).map_err(UseCaseError::from)?;
        self.execution = apply(self.execution.clone(), &events)?;
        self.events.extend(events);
        Ok(())
    }
}

impl Session<'_> {
    /// Records ended attempts and everything that follows from them, then performs it. Gives back
    /// when to plan again.
    pub(super) async fn advance(
        &mut self,
        reports: Vec<Finished>,
    ) -> Result<Option<Timestamp>, RunError> {
        for finished in &reports {
            if let Some(output) = finished.output() {
                self.outputs.insert(finished.step.clone(), output.clone());
            }
        }
        loop {
            let draft = self.draft(&reports).await?;
            if draft.events.is_empty() {
                self.cancel_attempts(&draft.cancels);
                return Ok(draft.due_at);
            }
            // A process that was stopped for a while must not go on as if no time had passed.
            self.tenure.must_hold()?;
            match self.record(&draft).await {
                Ok(()) => {
                    let due_at = draft.due_at;
                    self.cancel_attempts(&draft.cancels);
                    for start in draft.starts {
                        self.start(start);
                    }
                    return Ok(due_at);
                }
                // Somebody cancelled meanwhile: fold that in and decide anew.
                Err(AppendError::Conflict { .. }) => self.refresh().await?,
                Err(AppendError::Fenced { .. }) => {
                    return Err(RunError::LostOwnership { execution: self.id() });
                }
                Err(error) => return Err(UseCaseError::from(error).into()),
            }
        }
    }

    async fn record(&mut self, draft: &Draft) -> Result<(), AppendError> {
        let ownership = &self.ownership;
        let events = self.services().envelopes(&self.context, &draft.events);
        let append = Append::to(ownership.stream.clone(), self.stream_version, events);
        self.services().ports.store.append(append.fenced(ownership.epoch)).await?;
        self.stream_version += draft.events.len() as u64;
        self.ownership.guard.fetch_max(self.stream_version, Ordering::AcqRel);
        self.execution = draft.execution.clone();
        count::recorded(&draft.events, &self.execution, &self.version.steps, self.now());
        for event in &draft.events {
            self.observer.recorded(event);
        }
        Ok(())
    }

    /// Everything that can be decided now, without effects.
    async fn draft(&self, reports: &[Finished]) -> Result<Draft, RunError> {
        let mut draft = Draft {
            execution: self.execution.clone(),
            events: vec![],
            starts: vec![],
            cancels: vec![],
            due_at: None,
        };
        let now = self.now();
        for finished in reports {
            let (step, attempt) = (finished.step.clone(), finished.attempt);
            let audit = finished.audit.clone();
            draft.send(&ExecutionCommand::AuditStep { step, attempt, audit }, now)?;
            let command = self.report(&draft.execution, finished, now);
            draft.send(&command, now)?;
        }
        for _ in 0..MAX_ROUNDS {
            draft.cancels.clear();
            draft.due_at = None;
            let decided = draft.events.len();
            for action in plan(&draft.execution, &self.version, now) {
                self.decide(&mut draft, action, now).await?;
            }
            if draft.events.len() == decided {
                return Ok(draft);
            }
        }
        Err(UseCaseError::refused("the plan of the execution never settles").into())
    }

    /// The command that an ended attempt leads to.
    fn report(
        &self,
        execution: &Execution,
        finished: &Finished,
        now: Timestamp,
    ) -> ExecutionCommand {
        let step = finished.step.clone();
        let error = match finished.end() {
            End::Completed { output, counts } => {
                return ExecutionCommand::CompleteStep {
                    step,
                    attempt: finished.attempt,
                    output,
                    duration: finished.elapsed,
                    counts,
                };
            }
            End::Cancelled => return ExecutionCommand::CancelStep { step },
            End::Failed(error) => error,
        };
        let retry_at = self.retry_at(execution, &step, &error, now);
        ExecutionCommand::FailStep { step, attempt: finished.attempt, error, retry_at }
    }

    fn retry_at(
        &self,
        execution: &Execution,
        step: &StepId,
        error: &StepError,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let definition = self.version.steps.iter().find(|definition| definition.id == *step)?;
        let tries = execution.steps.get(step).map_or(0, |progress| progress.tries) + 1;
        let wait = retry_wait(&definition.retry, error.reason, tries)?;
        let due_at = now.saturating_add((self.runner.jitter)(definition.retry.jitter, wait));
        // A try that could only begin after the execution's deadline is none.
        execution.deadline.is_none_or(|deadline| due_at < deadline).then_some(due_at)
    }

    async fn decide(
        &self,
        draft: &mut Draft,
        action: Action,
        now: Timestamp,
    ) -> Result<(), RunError> {
        match action {
            Action::StartAttempt { step, evaluate_condition } => {
                self.decide_start(draft, step, evaluate_condition, now).await
            }
            Action::SkipStep { step, cause } => {
                draft.send(&ExecutionCommand::SkipStep { step, cause }, now)
            }
            Action::CancelStep { step } => draft.send(&ExecutionCommand::CancelStep { step }, now),
            Action::CancelAttempt { step, reason } => {
                draft.cancels.push((step, reason));
                Ok(())
            }
            Action::WaitUntil { due_at } => {
                draft.due_at = Some(due_at);
                Ok(())
            }
            Action::Finish { outcome } => draft.send(
                &match outcome {
                    Outcome::Completed => ExecutionCommand::Complete,
                    Outcome::Failed { step } => ExecutionCommand::Fail { step },
                    Outcome::Cancelled => ExecutionCommand::Cancel,
                },
                now,
            ),
        }
    }

    /// Evaluates what a step needs before it starts, once: its condition and its settings.
    async fn decide_start(
        &self,
        draft: &mut Draft,
        step: StepId,
        evaluate_condition: bool,
        now: Timestamp,
    ) -> Result<(), RunError> {
        let attempt = draft.execution.steps.get(&step).map_or(0, |progress| progress.attempts) + 1;
        let host = self.services().host_environment();
        let evaluation = Evaluation::of(&draft.execution, &self.outputs, attempt, host);
        let prepared = self.prepare(&evaluation, &step, evaluate_condition).await;
        let rendered = match prepared {
            Ok(None) => {
                let cause = SkipCause::Condition;
                return draft.send(&ExecutionCommand::SkipStep { step, cause }, now);
            }
            Ok(Some(rendered)) => rendered,
            Err(message) => return self.refuse(draft, step, attempt, message, now),
        };
        let own = rendered.timeout.map(|timeout| now.saturating_add(timeout));
        let deadline = [own, draft.execution.deadline].into_iter().flatten().min();
        draft.send(&ExecutionCommand::StartStep { step: step.clone(), deadline }, now)?;
        draft.starts.push(Start { step, attempt, rendered });
        Ok(())
    }

    /// The rendered settings; `None` if the condition is false; the reason if either cannot be
    /// evaluated.
    async fn prepare(
        &self,
        evaluation: &Evaluation<'_>,
        step: &StepId,
        evaluate_condition: bool,
    ) -> Result<Option<RenderedStep>, String> {
        let resolved = self.resolved.steps.iter().find(|resolved| resolved.id == *step);
        let resolved = resolved.ok_or("the definition has no such step")?;
        if evaluate_condition {
            let no_secret = |_: &str| Err("secrets are not there for conditions".to_owned());
            let runs = evaluation.with_scope(&no_secret, |scope| resolved.evaluate_when(scope));
            if !runs.map_err(|error| error.to_string())? {
                return Ok(None);
            }
        }
        let rendered = render_step(&*self.services().ports.secrets, evaluation, resolved).await;
        rendered.map(Some)
    }

    /// A step whose settings cannot be evaluated begins and fails in one transition.
    fn refuse(
        &self,
        draft: &mut Draft,
        step: StepId,
        attempt: u32,
        message: String,
        now: Timestamp,
    ) -> Result<(), RunError> {
        draft.send(&ExecutionCommand::StartStep { step: step.clone(), deadline: None }, now)?;
        let reason = FailureReason::Attempt(ErrorClass::Refused);
        let error = StepError { reason, message, exit_code: None, stderr_tail: vec![] };
        let retry_at = self.retry_at(&draft.execution, &step, &error, now);
        draft.send(&ExecutionCommand::FailStep { step, attempt, error, retry_at }, now)
    }

    fn cancel_attempts(&mut self, cancels: &[(StepId, CancelReason)]) {
        for (step, reason) in cancels {
            if let Some(running) = self.running.get_mut(step) {
                running.cancelled_for.get_or_insert(*reason);
                running.cancel.cancel();
            }
        }
    }
}
