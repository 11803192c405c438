//! The plan: what to do next, as a pure function of an execution's events.
//!
//! Crash recovery, retry, cancel, failover and the tests are all this one function read again. It
//! sees results only: conditions and templates are evaluated by the runner, once, and recorded.

use std::{collections::BTreeSet, time::Duration};

use flexcore_eventsourcing::Timestamp;

use crate::{
    ErrorClass, Execution, ExecutionStatus, FailureReason, RetryPolicy, RunOn, SkipCause,
    StepDefinition, StepId, StepState,
};

/// The version of the rules in this file. An execution is planned to its end by the rules that it
/// started with: rules that change get a new number, and the old ones stay beside them.
pub const PLAN_RULES: u32 = 1;

/// What a pipeline version is to the plan: its steps with the settings of one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineVersion {
    /// Its steps, in the order of the file.
    pub steps: Vec<StepDefinition>,
}

/// Something to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Begin the next attempt of a step.
    StartAttempt {
        /// The step.
        step: StepId,
        /// Whether its condition has to be looked at first: it has one that was not evaluated yet.
        evaluate_condition: bool,
    },
    /// Record that a step does not run.
    SkipStep {
        /// The step.
        step: StepId,
        /// Why not.
        cause: SkipCause,
    },
    /// Record that a step never begins because the execution is being cancelled.
    CancelStep {
        /// The step.
        step: StepId,
    },
    /// End a running attempt.
    CancelAttempt {
        /// The step.
        step: StepId,
        /// Why.
        reason: CancelReason,
    },
    /// Nothing can happen before this time unless a running attempt ends.
    WaitUntil {
        /// When to plan again.
        due_at: Timestamp,
    },
    /// End the execution.
    Finish {
        /// How it ended.
        outcome: Outcome,
    },
}

/// Why a running attempt is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// Somebody asked for the end of the execution.
    Requested,
    /// Its deadline passed.
    Deadline,
}

/// How an execution ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every step that counts did its work.
    Completed,
    /// A step that counts failed; the first in the order of the file.
    Failed {
        /// The step.
        step: StepId,
    },
    /// Somebody asked for its end.
    Cancelled,
}

/// What to do next. No actions: wait for a running attempt.
///
/// Decisions that only record something (skip, cancel, finish) come one round at a time: apply
/// them and plan again until none is left.
pub fn plan(execution: &Execution, version: &PipelineVersion, now: Timestamp) -> Vec<Action> {
    if execution.status != ExecutionStatus::Running {
        return vec![];
    }
    let graph = Graph { execution, version };
    let mut actions: Vec<Action> =
        graph.steps().filter_map(|step| graph.decide(step, now)).collect();
    if actions.is_empty() && graph.all_ended() {
        actions.push(Action::Finish { outcome: graph.outcome() });
    }
    if let Some(due_at) = graph.next_timer(now) {
        actions.push(Action::WaitUntil { due_at });
    }
    actions
}

/// The wait before the next try of a step that failed, before jitter; `None`: no further try.
///
/// `tries` counts the failed attempt too.
pub fn retry_wait(policy: &RetryPolicy, error: FailureReason, tries: u32) -> Option<Duration> {
    let FailureReason::Attempt(class) = error else {
        return Some(Duration::ZERO);
    };
    let named = policy.errors.iter().any(|named| *named == ErrorClass::Any || *named == class);
    if !named || tries >= policy.attempts {
        return None;
    }
    let exponent = i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = policy.initial.as_secs_f64() * policy.factor.max(1.0).powi(exponent);
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Some(wait.min(policy.max))
}

/// The steps of a version as this execution sees them: a step that was not selected is not there,
/// and a need of it counts as met.
struct Graph<'a> {
    execution: &'a Execution,
    version: &'a PipelineVersion,
}

impl<'a> Graph<'a> {
    fn steps(&self) -> impl Iterator<Item = &'a StepDefinition> {
        let selected = &self.execution.steps;
        self.version.steps.iter().filter(move |step| selected.contains_key(&step.id))
    }

    fn state(&self, step: &StepId) -> Option<&'a StepState> {
        self.execution.state_of(step)
    }

    /// What to do about one step now, if anything.
    fn decide(&self, step: &'a StepDefinition, now: Timestamp) -> Option<Action> {
        let progress = self.execution.steps.get(&step.id)?;
        let cancelling = self.execution.cancel_requested && step.run_on != RunOn::Cancelled;
        let id = step.id.clone();
        match &progress.state {
            StepState::Running { .. } if cancelling => {
                Some(Action::CancelAttempt { step: id, reason: CancelReason::Requested })
            }
            StepState::Running { deadline: Some(deadline) } if *deadline <= now => {
                Some(Action::CancelAttempt { step: id, reason: CancelReason::Deadline })
            }
            StepState::Pending | StepState::Waiting { .. } if cancelling => {
                Some(Action::CancelStep { step: id })
            }
            StepState::Waiting { due_at } if *due_at <= now => {
                Some(Action::StartAttempt { step: id, evaluate_condition: false })
            }
            StepState::Pending if self.needs(step).all(StepState::has_ended) => {
                Some(self.decide_ready(step))
            }
            _ => None,
        }
    }

    fn decide_ready(&self, step: &StepDefinition) -> Action {
        let runs = match step.run_on {
            RunOn::Completed => self.needs(step).all(|need| {
                matches!(
                    need,
                    StepState::Completed { .. }
                        | StepState::Skipped { cause: SkipCause::Condition }
                )
            }),
            RunOn::Failed => self.any_ancestor_failed(step),
            RunOn::Ended => true,
            RunOn::Cancelled => self.execution.cancel_requested,
        };
        if runs {
            Action::StartAttempt { step: step.id.clone(), evaluate_condition: step.when.is_some() }
        } else {
            Action::SkipStep { step: step.id.clone(), cause: SkipCause::Upstream }
        }
    }

    fn needs(&self, step: &'a StepDefinition) -> impl Iterator<Item = &'a StepState> {
        step.needs.iter().filter_map(|need| self.execution.state_of(need))
    }

    fn any_ancestor_failed(&self, step: &StepDefinition) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&StepId> = step.needs.iter().collect();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if matches!(self.state(id), Some(StepState::Failed { .. })) {
                return true;
            }
            let definition = self.version.steps.iter().find(|step| step.id == *id);
            open.extend(definition.iter().flat_map(|step| &step.needs));
        }
        false
    }

    fn all_ended(&self) -> bool {
        self.execution.steps.values().all(|progress| progress.state.has_ended())
    }

    fn outcome(&self) -> Outcome {
        if self.execution.cancel_requested {
            return Outcome::Cancelled;
        }
        let counts = |step: &&StepDefinition| {
            !step.allow_failure && matches!(self.state(&step.id), Some(StepState::Failed { .. }))
        };
        match self.steps().find(counts) {
            Some(step) => Outcome::Failed { step: step.id.clone() },
            None => Outcome::Completed,
        }
    }

    fn next_timer(&self, now: Timestamp) -> Option<Timestamp> {
        let timer = |state: &StepState| match state {
            StepState::Running { deadline } => *deadline,
            StepState::Waiting { due_at } => Some(*due_at),
            _ => None,
        };
        let states = self.execution.steps.values().map(|progress| &progress.state);
        states.filter_map(timer).filter(|due_at| *due_at > now).min()
    }
}

#[cfg(test)]
mod tests;
