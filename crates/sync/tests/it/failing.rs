//! Who is named when a sync fails, first things first.

use std::time::{Duration, Instant};

use flexcore_domain::ErrorClass;

use crate::stage::{RECORD, STATE, Stage, TARGET, prints};

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_tap_is_named_with_its_last_words() {
    let tap = format!(
        "{} echo 'INFO starting' >&2; echo 'CRITICAL no such table' >&2; exit 7",
        prints(&[RECORD, STATE])
    );
    let stage = Stage::new(&tap, TARGET).await;
    let error = stage.failed().await;
    assert_eq!(error.message, "tap `tap-x` failed with exit code 7: no such table");
    assert_eq!((error.class, error.exit_code), (ErrorClass::ExitCode, Some(7)));
    assert_eq!(error.stderr_tail, ["INFO starting", "CRITICAL no such table"]);
    // The target had its say about what it was given before.
    assert_eq!(stage.observer.states().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_target_is_named_and_its_tap_is_killed() {
    let tap = format!("trap '' TERM\n{} while :; do sleep 1; done", prints(&[RECORD]));
    let target = "head -n 1 > /dev/null; echo 'disk full' >&2; exit 2";
    let stage = Stage::new(&tap, target).await;
    let error = stage.failed().await;
    assert_eq!(error.message, "target `target-y` failed with exit code 2: disk full");
    assert_eq!(error.stderr_tail, ["disk full"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_under_a_busy_tap_is_named_alone() {
    let stage =
        Stage::new(&format!("exec yes '{RECORD}'"), "head -n 1000 > /dev/null; exit 4").await;
    let error = stage.failed().await;
    assert_eq!(
        error.message,
        "target `target-y` failed with exit code 4 and wrote nothing to stderr"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_side_that_failed_first_is_shown_first() {
    let target = "cat > /dev/null; echo 'input ended early' >&2; exit 5";
    let stage = Stage::new("echo boom >&2; exit 1", target).await;
    let error = stage.failed().await;
    assert_eq!(
        error.message,
        "tap `tap-x` failed with exit code 1: boom\n\
        after that: target `target-y` failed with exit code 5: input ended early"
    );
    assert_eq!(error.exit_code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_named() {
    let stage = Stage::new("kill -SEGV $$", TARGET).await;
    let error = stage.failed().await;
    assert!(error.message.starts_with("tap `tap-x` was ended by signal 11 (SIGSEGV)"), "{error:?}");
    assert_eq!((error.class, error.exit_code), (ErrorClass::Signal, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_ends_well_but_early_has_failed() {
    let tap = format!("{} while :; do sleep 1; done", prints(&[RECORD]));
    let stage = Stage::new(&tap, "exit 0").await;
    let error = stage.failed().await;
    assert_eq!(
        error.message,
        "target `target-y` ended or closed its input before it had read everything"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_leaves_its_last_input_unread_has_failed() {
    // It waits until its input has been ended, and does not read it.
    let target = "#!/usr/bin/env python3
import select
poll = select.poll()
poll.register(0, 0)
poll.poll()
";
    let stage = Stage::new(&prints(&[RECORD]), target).await;
    let bytes = RECORD.len() + 1;
    assert_eq!(
        stage.failed().await.message,
        format!("target `target-y` ended and left the last {bytes} bytes of its input unread")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_closes_its_input_and_lives_is_ended() {
    let mut stage =
        Stage::new(&format!("exec yes '{RECORD}'"), "exec < /dev/null; sleep 1000").await;
    stage.context.grace = Duration::from_millis(50);
    let message = stage.failed().await.message;
    assert!(message.contains("closed its input before it had read everything"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_line_at_the_end_of_a_successful_tap_is_an_error() {
    let half = &RECORD[..40];
    let stage = Stage::new(&format!("{}printf '%s' '{half}'", prints(&[RECORD])), TARGET).await;
    let error = stage.failed().await;
    assert!(
        error.message.starts_with(
            "tap `tap-x`: its output ends in the middle of line 2 (stream `orders`), after 40 bytes"
        ),
        "{error:?}"
    );
    assert_eq!(stage.file("out"), format!("{RECORD}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_line_of_a_failed_tap_only_follows_from_that() {
    let stage = Stage::new(&format!("printf '%s' '{}'; exit 9", &RECORD[..40]), TARGET).await;
    let error = stage.failed().await;
    assert_eq!(error.message, "tap `tap-x` failed with exit code 9 and wrote nothing to stderr");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_beyond_the_limit_is_an_error_and_nothing_of_it_arrives() {
    let tap = format!(
        "{} printf '{{\"type\":\"RECORD\",\"stream\":\"blobs\",\"record\":{{\"x\":\"'; exec yes a | tr -d '\\n'",
        prints(&[RECORD])
    );
    let mut stage = Stage::new(&tap, TARGET).await;
    stage.settings.max_line = 1_000_000;
    let error = stage.failed().await;
    assert!(
        error.message.starts_with("tap `tap-x`: line 2 of its output (stream `blobs`)"),
        "{error:?}"
    );
    assert!(error.message.contains("1000000 may pass"), "{error:?}");
    assert_eq!(stage.file("out"), format!("{RECORD}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_gibibyte_ends_soon_and_in_bounded_memory() {
    let tap = "printf '{\"type\":\"RECORD\",\"stream\":\"blobs\",\"record\":{\"x\":\"'
        head -c 1073741824 /dev/zero | tr '\\0' a; printf '\"}}\\n'";
    let stage = Stage::new(tap, TARGET).await;
    let before = Instant::now();
    let error = stage.failed().await;
    assert!(error.message.contains("longer than `max_line` allows"), "{error:?}");
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert_eq!(stage.file("out"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_utf_8_is_an_error_with_its_place() {
    let tap = format!(
        "{}printf '{{\"type\":\"RECORD\",\"stream\":\"b\",\"record\":{{\"a\":\"\\377\"}}}}\\n'",
        prints(&[RECORD])
    );
    let stage = Stage::new(&tap, TARGET).await;
    let message = stage.failed().await.message;
    assert!(
        message.starts_with(
            "tap `tap-x`: line 2 of its output (stream `b`) is not valid UTF-8 at byte 46"
        ),
        "{message}"
    );
    assert_eq!(stage.file("out"), format!("{RECORD}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_exist_is_refused_by_name() {
    let mut stage = Stage::new("exit 0", TARGET).await;
    stage.settings.tap.argv = vec!["tap-nowhere".into()];
    let error = stage.failed().await;
    assert!(
        error.message.starts_with("cannot start tap `tap-x`: program `tap-nowhere` not found"),
        "{error:?}"
    );
    assert_eq!(error.class, ErrorClass::Refused);
    assert_eq!(stage.file("out"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_traceback_is_summed_up() {
    let tap = "#!/usr/bin/env python3\nimport sys\nprint('half', file=sys.stderr)\nraise ValueError('no rows')\n";
    let stage = Stage::new(tap, TARGET).await;
    let error = stage.failed().await;
    assert_eq!(error.message, "tap `tap-x` failed with exit code 1: ValueError: no rows");
    assert!(error.stderr_tail.iter().any(|line| line.starts_with("Traceback")), "{error:?}");
}
