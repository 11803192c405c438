//! The order in which a cancel ends both programs.

use std::time::Duration;

use flexcore_ports::attempt::AttemptOutcome;

use crate::stage::{RECORD, STATE, Stage, TARGET, prints};

/// Prints a last STATE when asked to end, as taps of the Meltano SDK do, and ends with 0.
fn polite_tap() -> String {
    let state = prints(&[STATE]);
    format!(
        "end() {{ {state} echo 'tap asked' >&2; exit 0; }}; trap end TERM\n{} echo running >&2\n\
        while :; do sleep 0.01; done",
        prints(&[RECORD])
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_with_zero_after_our_signal_is_cancelled_and_its_last_state_counts() {
    let stage = Stage::new(&polite_tap(), TARGET).await;
    stage.cancelled_at("running").await;
    assert_eq!(stage.observer.states().len(), 1);
    assert_eq!(stage.file("out"), [RECORD, STATE, ""].join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_is_given_its_end_of_input_before_any_signal() {
    let target =
        "trap 'echo \"target asked\" >&2' TERM; cat > /dev/null; echo 'target drained' >&2";
    let stage = Stage::new(&polite_tap(), target).await;
    stage.cancelled_at("running").await;
    let log = stage.log.text();
    assert!(log.contains("tap asked") && log.contains("target drained"), "{log}");
    assert!(!log.contains("target asked"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_that_ignores_the_signal_is_killed_after_the_grace_period() {
    let tap = format!(
        "trap 'echo ignored >&2' TERM\n{} echo running >&2\nwhile :; do sleep 0.01; done",
        prints(&[RECORD, STATE])
    );
    let mut stage = Stage::new(&tap, TARGET).await;
    stage.context.grace = Duration::from_millis(200);
    stage.cancelled_at("running").await;
    assert!(stage.log.text().contains("ignored"));
    assert_eq!(stage.observer.states().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_end_with_its_input_is_asked_then_killed() {
    let target = "trap 'echo \"target asked\" >&2' TERM; cat > /dev/null; echo drained >&2
        while :; do sleep 0.01; done";
    let mut stage = Stage::new(&polite_tap(), target).await;
    stage.context.grace = Duration::from_millis(200);
    stage.cancelled_at("running").await;
    let log = stage.log.text();
    let (drained, asked) = (log.find("drained").unwrap(), log.find("target asked").unwrap());
    assert!(drained < asked, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_a_target_that_reads_nothing() {
    let mut stage = Stage::new(
        &format!("echo running >&2; exec yes '{RECORD}'"),
        "while :; do sleep 0.01; done",
    )
    .await;
    stage.context.grace = Duration::from_millis(200);
    stage.cancelled_at("running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_the_target_drains_waits_for_it() {
    let target = "cat > /dev/null; echo draining >&2; while ! test -e go; do sleep 0.01; done
        echo '{\"a\":1}'";
    let stage = Stage::new(&prints(&[RECORD]), target).await;
    let go = stage.folder.path().join("go");
    let cancel = async {
        stage.log.heard("draining").await;
        stage.cancel.cancel();
        std::fs::write(go, "").unwrap();
    };
    let (outcome, ()) = tokio::join!(stage.run(), cancel);
    assert_eq!(outcome, AttemptOutcome::Cancelled);
    assert_eq!(stage.observer.states(), [r#"{"a":1}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_during_discovery_ends_it() {
    let mut stage = Stage::new("echo discovering >&2; sleep 1000", TARGET).await;
    stage.settings.select = vec!["*.*".to_owned()];
    stage.cancelled_at("discovering").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_before_the_start_starts_nothing() {
    let stage = Stage::new("echo started >&2", TARGET).await;
    stage.cancel.cancel();
    assert_eq!(stage.run().await, AttemptOutcome::Cancelled);
    assert_eq!(stage.log.text(), "");
}
