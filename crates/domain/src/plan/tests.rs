use std::collections::BTreeMap;

use flexcore_eventsourcing::Aggregate;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::{
    CapabilityUse, Condition, EnvironmentName, ExecutionId, ExecutionOrder, FullRefresh, Isolation,
    IsolationPlace, PipelineId, StepAudit, StepCounts, StepError, StoredOutput,
    execution::ExecutionCommand,
    testing::{step, step_id, step_needing},
};

/// An execution together with its version: commands are decided, folded and counted.
struct Run {
    execution: Execution,
    version: PipelineVersion,
    now: Timestamp,
}

impl Run {
    fn of(steps: Vec<StepDefinition>) -> Self {
        let ids = steps.iter().map(|step| step.id.clone()).collect();
        Self::selecting(steps, ids)
    }

    fn selecting(steps: Vec<StepDefinition>, selected: Vec<StepId>) -> Self {
        let order = ExecutionOrder {
            id: ExecutionId(Uuid::from_u128(1)),
            pipeline_id: PipelineId(Uuid::from_u128(2)),
            pipeline: "orders".parse().unwrap(),
            version: 1,
            rules: PLAN_RULES,
            environment: EnvironmentName::default(),
            params: Value::Null,
            run_key: None,
            steps: selected,
            streams: vec![],
            full_refresh: FullRefresh::AsDefined,
            created_at: Timestamp::EPOCH,
        };
        let mut run = Self {
            execution: create(&ExecutionCommand::Create(order)),
            version: PipelineVersion { steps },
            now: Timestamp::EPOCH,
        };
        run.send(&ExecutionCommand::Claim { node: "here".into() });
        run.send(&ExecutionCommand::Start { deadline: None });
        run
    }

    fn send(&mut self, command: &ExecutionCommand) {
        let events = Execution::decide(Some(&self.execution), command, self.now)
            .unwrap_or_else(|rejection| panic!("{command:?}: {rejection}"));
        for event in &events {
            let next = Execution::evolve(Some(self.execution.clone()), event);
            self.execution = next.expect("decided events are legal");
        }
    }

    fn plan(&self) -> Vec<Action> {
        plan(&self.execution, &self.version, self.now)
    }

    /// Records everything that needs no attempt, and starts what is ready; gives back the steps
    /// whose attempts began.
    fn advance(&mut self) -> Vec<StepId> {
        let mut started = Vec::new();
        for _ in 0..100 {
            let mut recorded = false;
            for action in self.plan() {
                recorded |= self.record(action, &mut started);
            }
            if !recorded {
                return started;
            }
        }
        panic!("the plan never settles: {:?}", self.plan());
    }

    fn record(&mut self, action: Action, started: &mut Vec<StepId>) -> bool {
        match action {
            Action::StartAttempt { step, .. } => {
                self.send(&ExecutionCommand::StartStep { step: step.clone(), deadline: None });
                started.push(step);
            }
            Action::SkipStep { step, cause } => {
                self.send(&ExecutionCommand::SkipStep { step, cause });
            }
            Action::CancelStep { step } | Action::CancelAttempt { step, .. } => {
                self.send(&ExecutionCommand::CancelStep { step });
            }
            Action::Finish { outcome } => self.send(&match outcome {
                Outcome::Completed => ExecutionCommand::Complete,
                Outcome::Failed { step } => ExecutionCommand::Fail { step },
                Outcome::Cancelled => ExecutionCommand::Cancel,
            }),
            Action::WaitUntil { .. } => return false,
        }
        true
    }

    fn complete(&mut self, step: &str) {
        let attempt = self.execution.steps[&step_id(step)].attempts;
        self.send(&ExecutionCommand::CompleteStep {
            step: step_id(step),
            attempt,
            output: StoredOutput::Inline(Value::Null),
            duration: Duration::ZERO,
            counts: StepCounts::default(),
        });
    }

    /// Fails the running attempt, with another try if the policy allows one.
    fn fail(&mut self, step: &str) {
        let id = step_id(step);
        let progress = &self.execution.steps[&id];
        let definition = self.version.steps.iter().find(|step| step.id == id).unwrap();
        let reason = FailureReason::Attempt(ErrorClass::ExitCode);
        let wait = retry_wait(&definition.retry, reason, progress.tries + 1);
        let retry_at = wait.map(|wait| self.now.saturating_add(wait));
        let error =
            StepError { reason, message: "no".into(), exit_code: Some(1), stderr_tail: vec![] };
        let attempt = progress.attempts;
        self.send(&ExecutionCommand::FailStep { step: id, attempt, error, retry_at });
    }

    /// Records that the step's newest attempt ran in a jail and used a grant.
    fn audit(&mut self, step: &str) {
        let uses = vec![CapabilityUse {
            capability: "network tcp://db:5432".into(),
            allowed: true,
            times: 1,
            bytes: 10,
        }];
        let place = IsolationPlace::Jail { tier: "root".into() };
        let isolation = vec![Isolation { part: String::new(), place, controls: vec![] }];
        self.send(&ExecutionCommand::AuditStep {
            step: step_id(step),
            attempt: self.execution.steps[&step_id(step)].attempts,
            audit: StepAudit { isolation, uses, ..StepAudit::default() },
        });
    }

    fn running(&self) -> Vec<StepId> {
        self.execution.running().map(|(step, _)| step.clone()).collect()
    }

    /// Completes attempts until none is running.
    fn finish_running(&mut self) {
        while let Some(step) = self.running().first() {
            self.complete(step.as_str());
            self.advance();
        }
    }

    fn states(&mut self) -> BTreeMap<String, &'static str> {
        self.advance();
        let state = |(step, progress): (&StepId, &crate::StepProgress)| {
            (step.to_string(), progress.state.as_str())
        };
        self.execution.steps.iter().map(state).collect()
    }
}

fn create(command: &ExecutionCommand) -> Execution {
    let events = Execution::decide(None, command, Timestamp::EPOCH).unwrap();
    Execution::evolve(None, &events[0]).unwrap()
}

fn states(pairs: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    pairs.iter().map(|(step, state)| ((*step).to_owned(), *state)).collect()
}

fn on(run_on: RunOn, id: &str, needs: &[&str]) -> StepDefinition {
    StepDefinition { run_on, ..step_needing(id, needs) }
}

#[test]
fn steps_without_needs_start_at_once_and_the_rest_when_their_needs_ended() {
    let mut run = Run::of(vec![step("a"), step("b"), step_needing("c", &["a", "b"])]);
    assert_eq!(run.advance(), [step_id("a"), step_id("b")]);
    run.complete("a");
    assert_eq!(run.advance(), []);
    run.complete("b");
    assert_eq!(run.advance(), [step_id("c")]);
    run.complete("c");
    run.advance();
    assert_eq!(run.execution.status, ExecutionStatus::Completed);
}

#[test]
fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let steps = vec![
        step("a"),
        step("b"),
        step_needing("after_a", &["a"]),
        step_needing("later", &["after_a"]),
        step_needing("after_b", &["b"]),
    ];
    let mut run = Run::of(steps);
    run.advance();
    run.fail("a");
    run.complete("b");
    run.advance();
    run.complete("after_b");
    let expected = states(&[
        ("a", "failed"),
        ("b", "completed"),
        ("after_a", "skipped"),
        ("later", "skipped"),
        ("after_b", "completed"),
    ]);
    assert_eq!(run.states(), expected);
    assert_eq!(run.execution.status, ExecutionStatus::Failed);
}

#[test]
fn a_failure_that_is_allowed_leaves_the_outcome_alone() {
    let mut run = Run::of(vec![StepDefinition { allow_failure: true, ..step("a") }]);
    run.advance();
    run.fail("a");
    run.advance();
    assert_eq!(run.execution.status, ExecutionStatus::Completed);
}

#[test]
fn run_on_decides_by_how_the_needs_ended() {
    let steps = || {
        vec![
            step("a"),
            step_needing("between", &["a"]),
            on(RunOn::Failed, "on_failed", &["between"]),
            on(RunOn::Ended, "on_ended", &["between"]),
            on(RunOn::Cancelled, "on_cancelled", &["between"]),
        ]
    };
    let mut failed = Run::of(steps());
    failed.advance();
    failed.fail("a");
    assert_eq!(failed.advance(), [step_id("on_failed"), step_id("on_ended")]);

    let mut completed = Run::of(steps());
    completed.advance();
    completed.complete("a");
    completed.advance();
    completed.complete("between");
    assert_eq!(completed.advance(), [step_id("on_ended")]);
}

#[test]
fn a_condition_is_looked_at_once() {
    let condition = Condition { expression: "params.x".into(), reads: vec![], constant: None };
    let mut run = Run::of(vec![StepDefinition { when: Some(condition), ..step("a") }]);
    let start =
        |evaluate_condition| vec![Action::StartAttempt { step: step_id("a"), evaluate_condition }];
    assert_eq!(run.plan(), start(true));
    run.advance();
    run.send(&ExecutionCommand::Claim { node: "next".into() });
    assert_eq!(run.plan(), start(false));
}

#[test]
fn what_its_own_condition_skipped_does_not_stop_what_follows() {
    let mut run = Run::of(vec![step("a"), step_needing("b", &["a"])]);
    let cause = SkipCause::Condition;
    run.send(&ExecutionCommand::SkipStep { step: step_id("a"), cause });
    assert_eq!(run.advance(), [step_id("b")]);
}

#[test]
fn a_lost_attempt_is_started_again_and_does_not_count_as_a_try() {
    let mut run = Run::of(vec![step("a")]);
    run.advance();
    run.send(&ExecutionCommand::Claim { node: "next".into() });
    assert_eq!(run.advance(), [step_id("a")]);
    let progress = &run.execution.steps[&step_id("a")];
    assert_eq!((progress.attempts, progress.tries), (2, 0));
}

#[test]
fn retries_wait_longer_and_longer_up_to_their_number() {
    let retry = RetryPolicy { attempts: 3, jitter: crate::Jitter::None, ..RetryPolicy::default() };
    let mut run = Run::of(vec![StepDefinition { retry, ..step("a") }]);
    for seconds in [1_i64, 2] {
        run.advance();
        run.fail("a");
        let due_at = run.now.saturating_add(Duration::from_secs(seconds.unsigned_abs()));
        assert_eq!(run.plan(), [Action::WaitUntil { due_at }]);
        run.now = due_at;
    }
    run.advance();
    run.fail("a");
    assert_eq!(run.states(), states(&[("a", "failed")]));
}

#[test]
fn the_wait_never_passes_its_maximum_and_only_named_errors_are_retried() {
    let policy = RetryPolicy {
        attempts: u32::MAX,
        errors: vec![ErrorClass::Timeout],
        ..RetryPolicy::default()
    };
    let timeout = FailureReason::Attempt(ErrorClass::Timeout);
    assert_eq!(retry_wait(&policy, timeout, 1_000_000), Some(policy.max));
    assert_eq!(retry_wait(&policy, FailureReason::Attempt(ErrorClass::ExitCode), 1), None);
    assert_eq!(retry_wait(&policy, FailureReason::NodeLost, 1), Some(Duration::ZERO));
}

#[test]
fn a_deadline_that_passed_ends_the_attempt() {
    let mut run = Run::of(vec![step("a")]);
    let deadline = Timestamp::from_micros(5);
    run.send(&ExecutionCommand::StartStep { step: step_id("a"), deadline: Some(deadline) });
    assert_eq!(run.plan(), [Action::WaitUntil { due_at: deadline }]);
    run.now = deadline;
    let reason = CancelReason::Deadline;
    assert_eq!(run.plan(), [Action::CancelAttempt { step: step_id("a"), reason }]);
}

#[test]
fn cancel_ends_what_runs_and_runs_what_waits_for_it() {
    let steps = vec![
        step("a"),
        step_needing("b", &["a"]),
        on(RunOn::Ended, "ended", &["a"]),
        on(RunOn::Cancelled, "clean_up", &["a"]),
    ];
    let mut run = Run::of(steps);
    run.advance();
    run.send(&ExecutionCommand::RequestCancellation { reason: None });
    assert_eq!(run.advance(), [step_id("clean_up")]);
    run.complete("clean_up");
    let expected = states(&[
        ("a", "cancelled"),
        ("b", "cancelled"),
        ("ended", "cancelled"),
        ("clean_up", "completed"),
    ]);
    assert_eq!(run.states(), expected);
    assert_eq!(run.execution.status, ExecutionStatus::Cancelled);
}

#[test]
fn an_audit_belongs_to_a_running_attempt_and_changes_nothing() {
    let mut run = Run::of(vec![step("a")]);
    run.advance();
    let before = run.execution.clone();
    run.audit("a");
    assert_eq!(run.execution, before);
    run.complete("a");
    let audit = StepAudit::default();
    let late = ExecutionCommand::AuditStep { step: step_id("a"), attempt: 1, audit };
    assert!(Execution::decide(Some(&run.execution), &late, run.now).is_err());
}

#[test]
fn an_audit_without_content_is_no_event() {
    let mut run = Run::of(vec![step("a")]);
    run.advance();
    let audit = StepAudit::default();
    let empty = ExecutionCommand::AuditStep { step: step_id("a"), attempt: 1, audit };
    assert_eq!(Execution::decide(Some(&run.execution), &empty, run.now), Ok(vec![]));
}

#[test]
fn a_retry_begins_with_what_did_not_complete() {
    let mut run = Run::of(vec![step("a"), step("b"), step_needing("c", &["b"])]);
    run.advance();
    run.complete("a");
    run.fail("b");
    run.advance();
    assert_eq!(run.execution.status, ExecutionStatus::Failed);
    run.send(&ExecutionCommand::Retry);
    run.send(&ExecutionCommand::Claim { node: "here".into() });
    run.send(&ExecutionCommand::Start { deadline: None });
    assert_eq!(run.advance(), [step_id("b")]);
}

#[test]
fn a_need_that_was_not_selected_counts_as_met() {
    let steps = vec![step("a"), step_needing("b", &["a"])];
    let mut run = Run::selecting(steps, vec![step_id("b")]);
    assert_eq!(run.advance(), [step_id("b")]);
}

fn any_steps() -> impl Strategy<Value = Vec<StepDefinition>> {
    let run_on =
        prop::sample::select(vec![RunOn::Completed, RunOn::Failed, RunOn::Ended, RunOn::Cancelled]);
    let one = (run_on, any::<bool>(), prop::collection::vec(any::<bool>(), 8), 1_u32..3);
    prop::collection::vec(one, 1..8).prop_map(|specs| {
        let name = |n: usize| format!("s{n}");
        let define =
            |(n, (run_on, allow_failure, needs, attempts)): (usize, (_, _, Vec<bool>, _))| {
                let needs: Vec<String> = (0..n).filter(|m| needs[*m]).map(name).collect();
                let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
                let retry = RetryPolicy { attempts, ..RetryPolicy::default() };
                StepDefinition { run_on, retry, allow_failure, ..step_needing(&name(n), &needs) }
            };
        specs.into_iter().enumerate().map(define).collect()
    })
}

proptest! {
    /// Whatever happens to the attempts (success, failure, a lost node, a cancel), every decision
    /// is legal, every execution ends, and no completed step runs again.
    #[test]
    fn every_execution_ends(steps in any_steps(), choices in prop::collection::vec(0_u8..10, 200)) {
        let mut run = Run::of(steps);
        let mut completed = BTreeSet::new();
        for choice in choices {
            for step in run.advance() {
                prop_assert!(!completed.contains(&step), "{step} ran again");
            }
            let running = run.running();
            let Some(step) = running.get(usize::from(choice) % running.len().max(1)) else {
                if run.execution.status.has_ended() {
                    break;
                }
                let timers = run.plan();
                let Some(Action::WaitUntil { due_at }) = timers.last() else {
                    return Err(TestCaseError::fail(format!("stuck: {timers:?}")));
                };
                run.now = *due_at;
                continue;
            };
            match choice {
                0..=4 => {
                    completed.insert(step.clone());
                    run.complete(step.as_str());
                }
                5..=7 => {
                    run.audit(step.as_str());
                    run.fail(step.as_str());
                }
                8 => run.send(&ExecutionCommand::Claim { node: "next".into() }),
                _ => run.send(&ExecutionCommand::RequestCancellation { reason: None }),
            }
        }
        for _ in 0..100 {
            run.finish_running();
            if run.execution.status.has_ended() { break; }
            run.now = run.now.saturating_add(Duration::from_mins(1));
            run.advance();
        }
        prop_assert!(run.execution.status.has_ended());
    }
}
