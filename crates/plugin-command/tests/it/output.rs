//! What a command gives back: its output, its log, its errors.

use flexcore_domain::ErrorClass;
use flexcore_ports::{LogSource, attempt::CommandSettings};
use serde_json::json;

use crate::bench::{Bench, error, output, script};

#[tokio::test]
async fn the_output_is_the_json_of_the_output_file() {
    let bench = Bench::new().await;
    let writes = script(r#"echo '{"rows": 3, "names": ["a"]}' > "$FLEXCORE_OUTPUT""#);
    assert_eq!(output(bench.run(writes).await), json!({ "rows": 3, "names": ["a"] }));
    assert_eq!(output(bench.run(script("printf null > $FLEXCORE_OUTPUT")).await), json!(null));
}

#[tokio::test]
async fn without_an_output_file_the_output_is_the_exit_code() {
    let bench = Bench::new().await;
    let settings = CommandSettings { ok_exit_codes: vec![0, 3], ..script("exit 3") };
    assert_eq!(output(bench.run(settings).await), json!({ "exit_code": 3 }));
    let empty = script(": > $FLEXCORE_OUTPUT");
    assert_eq!(output(bench.run(empty).await), json!({ "exit_code": 0 }));
}

#[tokio::test]
async fn a_code_that_is_not_listed_is_a_failure_also_if_it_is_zero() {
    let bench = Bench::new().await;
    let settings = CommandSettings { ok_exit_codes: vec![3], ..script("exit 0") };
    let failed = error(bench.run(settings).await);
    assert_eq!((failed.class, failed.exit_code), (ErrorClass::ExitCode, Some(0)));
}

#[tokio::test]
async fn an_output_that_is_not_json_names_the_file_and_the_place() {
    let bench = Bench::new().await;
    let failed = error(bench.run(script("printf '{\\n  \"rows\": NaN}' > $FLEXCORE_OUTPUT")).await);
    let file = bench.work_folder().join("output.json");
    assert_eq!(
        failed.message,
        format!(
            "the command's output {} is not JSON: expected value at line 2 column 11",
            file.display()
        )
    );
    assert_eq!(failed.exit_code, Some(0));
}

#[tokio::test]
async fn an_output_that_is_no_plain_file_or_too_large_is_refused() {
    let bench = Bench::new().await;
    for odd in ["mkfifo", "mkdir", "ln -s /etc/hostname"] {
        let failed = error(bench.run(script(&format!("{odd} $FLEXCORE_OUTPUT"))).await);
        assert!(failed.message.contains("is not a plain file"), "{odd}: {}", failed.message);
    }
    let failed = error(bench.run(script("truncate -s 65M $FLEXCORE_OUTPUT")).await);
    assert!(failed.message.contains("has 68157440 bytes, more than"), "{}", failed.message);
}

#[tokio::test]
async fn both_streams_are_logged_and_an_error_has_the_end_of_stderr() {
    let bench = Bench::new().await;
    let failed = error(bench.run(script("echo out; seq 1 30 >&2; exit 9")).await);
    assert_eq!(bench.log.of(LogSource::Stdout), ["out"]);
    assert_eq!(bench.log.of(LogSource::Stderr).len(), 30);
    let expected: Vec<String> = (11..=30).map(|number| number.to_string()).collect();
    assert_eq!(failed.stderr_tail, expected);
}

#[tokio::test]
async fn long_lines_and_bytes_that_are_no_text_do_no_harm() {
    let bench = Bench::new().await;
    let noisy = "head -c 5000000 /dev/zero | tr '\\0' x >&2; printf '\\377\\n'; exit 1";
    let failed = error(bench.run(script(noisy)).await);
    let [logged] = &bench.log.of(LogSource::Stderr)[..] else { panic!("one line was written") };
    assert!(logged.ends_with("… [cut: the line has 5000000 bytes]"), "{logged}");
    assert!(logged.len() < 1100);
    assert_eq!(&failed.stderr_tail, std::slice::from_ref(logged));
    assert_eq!(bench.log.of(LogSource::Stdout), ["\u{fffd}"]);
}
