//! Runs from beginning to end.

use std::sync::Arc;

use flexcore_api::{BookmarkAddress, CancelExecution, GetBookmark, RetryExecution};
use flexcore_app::{RunDecision, RunError, RunPolicy};
use flexcore_domain::ExecutionStatus;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, Watcher};

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_read_by_later_steps() {
    let stage = Stage::new(
        r#"
pipeline: chain
steps:
  - { id: one, command: { argv: [complete, hello] } }
  - { id: two, needs: [one], command: { argv: [complete, "{{ steps.one.output.said }} again"] } }
"#,
    );
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    let view = stage.show(&life, execution).await;
    assert_eq!(view.steps[1].output, Some(json!({ "said": "hello again" })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_from_outside_ends_what_runs() {
    let stage = Stage::new("pipeline: waits\nsteps: [{ id: wait, command: { argv: [wait] } }]\n");
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    let begun = CancellationToken::new();
    let watcher = Watcher { on_start: Some(("wait".into(), begun.clone())) };
    let stop = CancellationToken::new();
    let run = life.runner.run(&stage.context, execution, Arc::new(watcher), stop);
    let cancel = async {
        begun.cancelled().await;
        let cancel = CancelExecution { execution: execution.to_string(), reason: None };
        life.commands.execute(&stage.context, cancel).await.unwrap();
    };
    let (status, ()) = tokio::join!(run, cancel);
    assert_eq!(status.unwrap(), ExecutionStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_the_execution_for_a_later_owner() {
    let stage = Stage::new("pipeline: waits\nsteps: [{ id: wait, command: { argv: [wait] } }]\n");
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    let stop = CancellationToken::new();
    let watcher = Watcher { on_start: Some(("wait".into(), stop.clone())) };
    let stopped = life.runner.run(&stage.context, execution, Arc::new(watcher), stop).await;
    assert!(matches!(stopped, Err(RunError::Stopped { .. })));
    let name = "waits".parse().unwrap();
    let decision =
        life.services.decide_run(&stage.context, &name, RunPolicy::Resume).await.unwrap();
    assert_eq!(decision, RunDecision::Resume(execution));
    let decision =
        life.services.decide_run(&stage.context, &name, RunPolicy::Refuse).await.unwrap();
    assert!(matches!(decision, RunDecision::Refused(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_runs_what_failed_and_nothing_that_completed() {
    let stage = Stage::new(
        r#"
pipeline: again
steps:
  - { id: good, command: { argv: [complete] } }
  - { id: bad, command: { argv: [fail_until, "2"] } }
  - { id: after, needs: [bad], command: { argv: [complete] } }
"#,
    );
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Failed);
    let retry = RetryExecution { execution: execution.to_string() };
    life.commands.execute(&stage.context, retry).await.unwrap();
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    let began = stage.performer.began.lock().unwrap();
    assert_eq!(began.iter().filter(|(step, _)| step == "good").count(), 1);
    assert_eq!(began.iter().filter(|(step, _)| step == "bad").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_key_makes_one_execution_however_often_it_is_asked_for() {
    let stage = Stage::new("pipeline: once\nsteps: [{ id: a, command: { argv: [complete] } }]\n");
    let life = stage.life(i64::MAX);
    let one = stage.order(&life).await;
    let two = stage.order(&life).await;
    assert_eq!(one, two);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_keeps_its_bookmark_and_says_so_in_its_output() {
    let stage = Stage::new(
        r"
pipeline: orders
steps:
  - id: load
    sync:
      tap: { plugin: tap-csv, config: { files: [{ path: x.csv }] } }
      target: { plugin: target-jsonl, config: { path: out } }
",
    );
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Completed);
    let view = stage.show(&life, execution).await;
    let output = view.steps[0].output.clone().unwrap();
    assert_eq!(output["streams"]["orders"]["bookmark"], json!({ "id": 2 }));
    let bookmark = BookmarkAddress {
        pipeline: "orders".into(),
        state: "load".into(),
        environment: "default".into(),
        item: None,
    };
    let shown = life.queries.ask(&stage.context, GetBookmark { bookmark }).await.unwrap();
    assert_eq!(shown.state.unwrap().get(), r#"{"bookmarks":{"orders":{"id":2}}}"#);
    assert_eq!(shown.holder, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undefined_name_fails_the_step_and_says_where() {
    let stage = Stage::new(
        r#"
pipeline: wrong
steps:
  - { id: one, command: { argv: [complete, hello] } }
  - { id: two, needs: [one], command: { argv: [complete, "{{ steps.one.output.nothing }}"] } }
"#,
    );
    let life = stage.life(i64::MAX);
    let execution = stage.order(&life).await;
    assert_eq!(stage.run(&life, execution).await.unwrap(), ExecutionStatus::Failed);
    let view = stage.show(&life, execution).await;
    let error = view.steps[1].error.clone().unwrap();
    assert_eq!(error.reason, "refused");
    assert!(error.message.contains("steps.one.output.nothing"), "{}", error.message);
}
