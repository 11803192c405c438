//! A crash after any append: the next owner goes on, and no completed step runs again.

use std::collections::BTreeSet;

use flexcore_domain::ExecutionStatus;

use crate::stage::Stage;

const PIPELINE: &str = r#"
pipeline: steps
steps:
  - { id: first, command: { argv: [complete, one] } }
  - id: load
    sync:
      tap: { plugin: tap-csv, config: { files: [{ path: x.csv }] } }
      target: { plugin: target-jsonl, config: { path: out } }
  - { id: flaky, needs: [first], retry: { attempts: 3, initial: 1ms, jitter: none }, command: { argv: [fail_until, "2"] } }
  - { id: never, needs: [first], when: "params.full", command: { argv: [complete] } }
  - { id: last, needs: [flaky, load, never], command: { argv: [complete, "{{ steps.first.output.said }}"] } }
params:
  full: { type: boolean, default: false }
"#;

/// How many appends a run without a crash takes is found by running it once.
async fn appends_of_a_whole_run() -> i64 {
    for appends in 4..200 {
        let stage = Stage::new(PIPELINE);
        let life = stage.life(i64::MAX);
        let execution = stage.order(&life).await;
        let life = stage.life(appends);
        if stage.run(&life, execution).await.is_ok() {
            return appends;
        }
    }
    unreachable!("a run of five steps takes fewer appends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_append_costs_at_most_the_running_attempts() {
    for appends in 0..=appends_of_a_whole_run().await {
        let stage = Stage::new(PIPELINE);
        let execution = stage.order(&stage.life(i64::MAX)).await;
        // A life that ends early, and a second one that ends early too.
        let crashed = stage.run(&stage.life(appends), execution).await.is_err();
        let _ = stage.run(&stage.life(appends / 2), execution).await;
        let recorded: BTreeSet<String> = {
            let view = stage.show(&stage.life(0), execution).await;
            let done = view.steps.iter().filter(|step| step.status == "completed");
            done.map(|step| step.id.clone()).collect()
        };
        let before = stage.performer.began.lock().unwrap().len();
        let life = stage.life(i64::MAX);
        match stage.run(&life, execution).await {
            Ok(status) => assert_eq!(status, ExecutionStatus::Completed, "after {appends}"),
            // It had completed before this life: there is nothing left to claim.
            Err(_) => assert!(!crashed || recorded.len() == 4, "after {appends}"),
        }
        let view = stage.show(&life, execution).await;
        assert_eq!(view.status, "completed", "after {appends}");
        let skipped: Vec<_> = view.steps.iter().filter(|step| step.status == "skipped").collect();
        assert_eq!(skipped.len(), 1);
        let began = stage.performer.began.lock().unwrap().clone();
        let again: Vec<_> =
            began[before..].iter().filter(|(step, _)| recorded.contains(step)).collect();
        assert!(again.is_empty(), "after {appends}: {again:?} had completed and ran again");
        stage.verified().await;
    }
}
