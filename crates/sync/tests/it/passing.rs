//! What gets from a tap to a target.

use serde_json::json;

use crate::stage::{RECORD, SCHEMA, STATE, Stage, TARGET, prints};

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_hands_lines_over_and_counts_them() {
    let stage = Stage::new(&prints(&[SCHEMA, RECORD, RECORD, STATE]), TARGET).await;
    let output = stage.completed().await;
    let bytes = 2 * (RECORD.len() + 1);
    assert_eq!(
        output,
        json!({
            "records": 2, "bytes": bytes, "rejected": 0,
            "streams": { "orders": { "records": 2, "bytes": bytes } },
        })
    );
    assert_eq!(stage.file("out"), [SCHEMA, RECORD, RECORD, STATE, ""].join("\n"));
    assert_eq!(stage.observer.states(), [r#"{"bookmarks":{"orders":{"id":1}}}"#]);
    assert_eq!(stage.observer.schemas(), [("orders".to_owned(), SCHEMA.to_owned())]);
    let progress = stage.observer.progress();
    assert_eq!(progress.last().unwrap().records, 2);
    assert_eq!(progress.last().unwrap().streams, [("orders".to_owned(), 2, bytes as u64)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_without_records_is_a_success() {
    let stage = Stage::new("exit 0", TARGET).await;
    assert_eq!(stage.completed().await["records"], 0);
    assert_eq!(stage.file("out"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_logged_counted_and_kept_from_the_target() {
    let tap = prints(&["Connecting to the database", RECORD, "", "[1, 2]", RECORD]);
    let stage = Stage::new(&tap, TARGET).await;
    let output = stage.completed().await;
    assert_eq!((&output["records"], &output["rejected"]), (&json!(2), &json!(2)));
    assert_eq!(stage.file("out"), [RECORD, RECORD, ""].join("\n"));
    let log = stage.log.text();
    assert!(log.contains("line 1 of its output is no Singer message"), "{log}");
    assert!(log.contains("Connecting to the database") && log.contains("[1, 2]"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_is_counted_but_not_all_shown() {
    let tap = format!("seq 100000\n{}", prints(&[RECORD]));
    let stage = Stage::new(&tap, TARGET).await;
    assert_eq!(stage.completed().await["rejected"], 100_000);
    let log = stage.log.text();
    assert!(log.lines().count() < 110, "{}", log.lines().count());
    assert!(log.contains("further lines like these are only counted"), "{log}");
    assert!(log.contains("100000 lines that are no Singer messages"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_a_number_and_large_numbers_pass_untouched() {
    let line = r#"{"type": "RECORD", "stream": "a", "record": {"x": NaN, "y": 1.10, "z": 99999999999999999999999}}"#;
    let stage = Stage::new(&prints(&[line]), TARGET).await;
    stage.completed().await;
    assert_eq!(stage.file("out"), format!("{line}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_message_without_newline_arrives_with_one() {
    let stage = Stage::new(&format!("printf '%s' '{RECORD}'"), TARGET).await;
    assert_eq!(stage.completed().await["records"], 1);
    assert_eq!(stage.file("out"), format!("{RECORD}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_arrive_as_they_were() {
    let tap = r#"awk 'BEGIN { for (i = 0; i < 100000; i++)
        printf "{\"type\":\"RECORD\",\"stream\":\"s%d\",\"record\":{\"id\":%d}}\n", i % 3, i }' | tee in"#;
    let stage = Stage::new(tap, "cat > out").await;
    let output = stage.completed().await;
    assert_eq!(output["records"], 100_000);
    assert_eq!(output["streams"]["s2"]["records"], 33_333);
    assert!(stage.file("in") == stage.file("out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_their_environment_and_marker() {
    let show = r#"printf '%s|%s|%s|%s|%s\n' "$FROM_STEP" "$OWN" "$FLEXCORE_ATTEMPT" \
        "$FLEXCORE_COMMITTED_STATE" "$(test -d "$FLEXCORE_WORK" && echo work)" >&2;"#;
    let mut stage = Stage::new(show, &format!("{show} cat")).await;
    stage.settings.committed_state = Some("abc".to_owned());
    stage.settings.tap.environment = vec![("FROM_STEP".into(), "tap".into())];
    stage.settings.tap.native = true;
    stage.settings.target.environment = vec![("OWN".into(), "own".into())];
    stage.settings.target.native = true;
    stage.completed().await;
    let (log, marker) = (stage.log.text(), stage.context.marker());
    assert!(log.contains(&format!("tap: tap||{marker}/tap||work\n")), "{log}");
    assert!(log.contains(&format!("target: step|own|{marker}/target|abc|work\n")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_native_targets_are_told_what_was_committed() {
    let target = "echo \"committed:$FLEXCORE_COMMITTED_STATE.\" >&2; cat";
    let mut stage = Stage::new("exit 0", target).await;
    stage.settings.committed_state = Some("abc".to_owned());
    stage.completed().await;
    assert!(stage.log.text().contains("committed:.\n"), "{}", stage.log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn stderr_of_both_is_logged_line_by_line_whatever_its_bytes() {
    let tap = "printf 'caf\\351\\r\\nlast line' >&2";
    let target = "head -c 200000 /dev/zero | tr '\\0' x >&2; cat";
    let stage = Stage::new(tap, target).await;
    stage.completed().await;
    let log = stage.log.text();
    assert!(log.contains("tap: caf\u{fffd}\n") && log.contains("tap: last line\n"), "{log}");
    let cut = log.lines().find(|line| line.starts_with("target: xxx")).unwrap();
    assert!(cut.len() < 70_000 && cut.contains("200000 bytes"), "{}", cut.len());
}
