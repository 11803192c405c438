//! Who may drive an execution, and what becomes of one whose lease is lost.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use flexcore_app::{RunDecision, RunError, RunPolicy};
use flexcore_domain::{ExecutionStatus, PipelineName};
use tokio_util::sync::CancellationToken;

use crate::stage::{Life, Stage, Watcher};

const WAITS: &str = "\
pipeline: waits
steps:
  - { id: first, command: { argv: [complete] } }
  - { id: second, needs: [first], command: { argv: [wait] } }
";

const SHORT: &str = "pipeline: short\nsteps:\n  - { id: only, command: { argv: [complete] } }\n";

/// Runs until the second step waits, does something to the world, and gives what the run came to.
async fn run_and_then(stage: &Stage, life: &Life, disturb: impl FnOnce()) -> RunError {
    let execution = stage.order(life).await;
    let began = CancellationToken::new();
    let watcher = Watcher { on_start: Some(("second".to_owned(), began.clone())) };
    let stop = CancellationToken::new();
    let run = life.runner.run(&stage.context, execution, Arc::new(watcher), stop);
    let disturbed = async {
        began.cancelled().await;
        disturb();
    };
    let (ended, ()) = tokio::join!(run, disturbed);
    ended.unwrap_err()
}

#[tokio::test]
async fn an_execution_that_another_process_drives_is_left_to_it() {
    let stage = Stage::new(SHORT);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    stage.coordinator.give_to_rival();
    let before = stage.verified().await;
    let error = stage.run(&life, execution).await.unwrap_err();
    let RunError::Held { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(holder.node, "rival:7");
    assert!(error.to_string().contains("driven by rival:7"), "{error}");
    assert_eq!(stage.verified().await, before, "nothing was claimed");
}

#[tokio::test]
async fn a_lease_is_given_back_and_the_deadline_with_it() {
    let stage = Stage::new(SHORT);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    assert_eq!(*stage.deadline.0.lock().unwrap(), None);
    assert!(!stage.coordinator.is_held());
    // Whoever comes a moment too late finds it at its end, and changes nothing.
    let before = stage.verified().await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    assert_eq!(stage.verified().await, before);
}

#[tokio::test]
async fn an_owner_that_cannot_renew_stops_at_its_deadline_and_is_followed() {
    let mut stage = Stage::new(WAITS);
    stage.lease_ttl = Duration::from_millis(900);
    let life = stage.life(i64::MAX);
    let error = run_and_then(&stage, &life, || {
        assert!(stage.deadline.0.lock().unwrap().is_some_and(|end| end > Instant::now()));
        stage.coordinator.is_away.store(true, Ordering::SeqCst);
    })
    .await;
    assert!(matches!(error, RunError::LostLease { .. }), "{error}");
    stage.coordinator.is_away.store(false, Ordering::SeqCst);
    stage.coordinator.forget();
    let name: PipelineName = "waits".parse().unwrap();
    let decision =
        life.services.decide_run(&stage.context, &name, RunPolicy::ResumeOrStart).await.unwrap();
    assert!(matches!(decision, RunDecision::Resume(_)), "{decision:?}");
}

#[tokio::test]
async fn an_owner_stops_as_soon_as_somebody_else_has_its_lease() {
    let mut stage = Stage::new(WAITS);
    stage.lease_ttl = Duration::from_secs(3);
    let life = stage.life(i64::MAX);
    let error = run_and_then(&stage, &life, || stage.coordinator.give_to_rival()).await;
    let RunError::LostLease { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("rival:7"), "{reason}");
}

#[tokio::test]
async fn an_execution_with_a_live_owner_elsewhere_is_not_interrupted() {
    let stage = Stage::new(WAITS);
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    let name: PipelineName = "waits".parse().unwrap();
    let ours =
        life.services.decide_run(&stage.context, &name, RunPolicy::ResumeOrStart).await.unwrap();
    assert_eq!(ours, RunDecision::Start, "it was created a moment ago and is about to be driven");
    stage.coordinator.forget();
    let refused = life.services.decide_run(&stage.context, &name, RunPolicy::Refuse).await.unwrap();
    assert!(matches!(refused, RunDecision::Refused(_)), "{refused:?}");
    stage.coordinator.give_to_rival();
    for policy in [RunPolicy::Refuse, RunPolicy::ResumeOrStart] {
        let decision = life.services.decide_run(&stage.context, &name, policy).await.unwrap();
        assert_eq!(decision, RunDecision::Start);
    }
    let resume = life.services.decide_run(&stage.context, &name, RunPolicy::Resume).await.unwrap();
    assert_eq!(resume, RunDecision::Resume(execution));
}
