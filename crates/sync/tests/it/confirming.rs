//! What counts as confirmed, and what a refusal does.

use flexcore_domain::ErrorClass;

use crate::stage::{RECORD, STATE, Stage, prints};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_target_prints_is_confirmed() {
    let stage = Stage::new(&prints(&[STATE, RECORD]), "cat > /dev/null").await;
    stage.completed().await;
    assert_eq!(stage.observer.states(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn states_come_as_the_bytes_that_the_target_printed() {
    let target = format!("cat > /dev/null\n{}", prints(&[r#"{"a":  1.10}"#, r#"{"a":2}"#]));
    let stage = Stage::new(&prints(&[RECORD]), &format!("{target}printf '%s' '{{\"a\":3}}'")).await;
    stage.completed().await;
    assert_eq!(stage.observer.states(), [r#"{"a":  1.10}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn blank_lines_and_garbage_of_a_target_are_no_states() {
    let target = prints(&["", "ready", "{\"a\":", "null", "  ", r#"{"a":1}"#]);
    let stage = Stage::new(&prints(&[RECORD]), &format!("{target}cat > /dev/null")).await;
    stage.completed().await;
    assert_eq!(stage.observer.states(), [r#"{"a":1}"#]);
    let log = stage.log.text();
    assert!(log.contains("target `target-y` printed 5 bytes that are no state: ready"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_confirmed_before_a_failure_is_kept() {
    let target = r#"head -n 1 > /dev/null; echo '{"a":1}'; exit 3"#;
    let stage = Stage::new(&prints(&[RECORD]), target).await;
    assert_eq!(stage.failed().await.exit_code, Some(3));
    assert_eq!(stage.observer.states(), [r#"{"a":1}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_bookmark_ends_both_at_once_with_its_message() {
    let tap = format!("trap '' TERM; {} while :; do sleep 1; done", prints(&[RECORD]));
    let target = r#"trap '' TERM; echo '{"a":1}'; echo '{"a":2}'; while :; do sleep 1; done"#;
    let stage = Stage::new(&tap, target).await;
    *stage.observer.refusal.lock().unwrap() = Some("another node took over".to_owned());
    let error = stage.failed().await;
    assert_eq!(error.message, "another node took over");
    assert_eq!(error.class, ErrorClass::Refused);
    assert_eq!(stage.observer.states(), [r#"{"a":1}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bookmark_refused_at_the_very_end_fails_the_attempt() {
    let target = r#"cat > /dev/null; echo '{"a":1}'"#;
    let stage = Stage::new(&prints(&[RECORD]), target).await;
    *stage.observer.refusal.lock().unwrap() = Some("the log is full".to_owned());
    assert_eq!(stage.failed().await.message, "the log is full");
}
