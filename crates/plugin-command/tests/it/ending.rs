//! How attempts end before their time.

use std::time::Duration;

use flexcore_domain::ErrorClass;
use flexcore_ports::attempt::{AttemptOutcome, CommandRunner as _};
use flexcore_sandbox::processes_of_attempt;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, error, script};

async fn cancelled(bench: &Bench, text: &str, grace: Duration) -> AttemptOutcome {
    let cancel = CancellationToken::new();
    let mut context = bench.context();
    context.grace = grace;
    let run = bench.runner.run(context, script(text), cancel.clone());
    let (end, ()) = tokio::join!(run, async {
        bench.log.wait_for("ready").await;
        cancel.cancel();
    });
    end.outcome
}

#[tokio::test]
async fn a_cancel_asks_the_command_to_end_and_success_after_that_is_still_a_cancel() {
    let bench = Bench::new().await;
    let polite = "trap 'echo bye; exit 0' TERM; echo ready; sleep 1000 & wait";
    let outcome = cancelled(&bench, polite, Duration::from_secs(20)).await;
    assert_eq!(outcome, AttemptOutcome::Cancelled);
    bench.log.wait_for("bye").await;
    assert!(!bench.work_folder().exists());
}

#[tokio::test]
async fn a_command_that_will_not_end_is_killed_with_its_whole_tree() {
    let bench = Bench::new().await;
    let deaf = "trap '' TERM; setsid -f sleep 1000; echo ready; while :; do sleep 1000; done";
    let outcome = cancelled(&bench, deaf, Duration::from_millis(50)).await;
    assert_eq!(outcome, AttemptOutcome::Cancelled);
    let marker = bench.context().marker();
    assert_eq!(processes_of_attempt(&marker), Vec::<u32>::new());
}

#[tokio::test]
async fn a_cancel_before_the_start_starts_nothing() {
    let bench = Bench::new().await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let touch = script("touch started");
    let outcome = bench.runner.run(bench.context(), touch, cancel).await.outcome;
    assert_eq!(outcome, AttemptOutcome::Cancelled);
    assert!(!bench.project.path().join("started").exists());
}

#[tokio::test]
async fn a_signal_from_outside_is_a_failure_of_its_own_class() {
    let bench = Bench::new().await;
    let failed = error(bench.run(script("kill -KILL $$")).await);
    assert_eq!((failed.class, failed.exit_code), (ErrorClass::Signal, None));
    assert_eq!(failed.message, "the script was ended from outside by signal 9 (SIGKILL)");
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let bench = Bench::new().await;
    bench.run(script("setsid -f sleep 1000; sleep 1000 & exit 0")).await;
    assert_eq!(processes_of_attempt(&bench.context().marker()), Vec::<u32>::new());
}
