//! What holds the two programs of a sync, and programs that misbehave in it.

use std::time::Duration;

use flexcore_domain::IsolationPlace;
use flexcore_ports::attempt::AttemptOutcome;

use crate::stage::{RECORD, STATE, Stage, TARGET, prints};

#[tokio::test(flavor = "multi_thread")]
async fn each_program_is_held_and_named() {
    let stage = Stage::new(&prints(&[RECORD, STATE]), TARGET).await;
    let end = stage.run_to_end().await;
    assert!(matches!(end.outcome, AttemptOutcome::Completed { .. }), "{end:?}");
    let parts: Vec<&str> = end.isolation.iter().map(|one| one.part.as_str()).collect();
    assert_eq!(parts, ["target", "tap"]);
    let jailed = |place: &IsolationPlace| matches!(place, IsolationPlace::Jail { .. });
    assert!(end.isolation.iter().all(|one| jailed(&one.place)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_program_sees_the_config_of_the_other() {
    let look = r#"cat "$(dirname "$(dirname "$2")")"/*/config.json >&2"#;
    let stage = Stage::new(look, &format!("{look}; cat > /dev/null")).await;
    stage.completed().await;
    let log = stage.log.text();
    assert!(log.contains("tap: {\"of\":\"tap-x\"}\n"), "{log}");
    assert!(log.contains("target: {\"of\":\"target-y\"}\n"), "{log}");
    assert!(!log.contains("tap: {\"of\":\"target-y\"}"), "{log}");
    assert!(!log.contains("target: {\"of\":\"tap-x\"}"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_starts_beside_itself_ends_with_it() {
    let daemons = "for i in 1 2 3; do setsid -f sleep 1000 > /dev/null 2>&1 < /dev/null; done";
    let stage = Stage::new(
        &format!("{daemons}\n{}", prints(&[RECORD, STATE])),
        &format!("{daemons}\n{TARGET}"),
    )
    .await;
    // `run` looks for processes that are left.
    stage.completed().await;
    assert_eq!(stage.observer.states().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_errors_is_cut_and_the_sync_goes_on() {
    let flood = "yes 'WARN again' | head -n 20000 >&2";
    let stage = Stage::new(&format!("{flood}\n{}", prints(&[RECORD, STATE])), TARGET).await;
    let output = stage.completed().await;
    assert_eq!(output["records"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_never_answers_confirms_nothing() {
    let mut stage = Stage::new(&prints(&[RECORD, STATE]), "echo ready >&2; exec sleep 1000").await;
    stage.context.grace = Duration::from_millis(200);
    stage.cancelled_at("ready").await;
    assert_eq!(stage.observer.states(), Vec::<String>::new());
}
