//! Taps and targets that misbehave: the run fails with a clear error or goes on with a clear note,
//! and what was confirmed before is kept.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, redact};

/// A project with a sync from the output of `tap.sh` into JSON Lines.
fn sync_of(tap: &str) -> Project {
    let project = Project::with(
        "pipeline: odd\nsteps:\n  - id: load\n    sync:\n      \
         tap: { command: [sh, tap.sh] }\n      \
         target: { plugin: target-jsonl, config: { path: out } }\n      max_line: 64KiB\n",
    );
    project.write("tap.sh", tap);
    project
}

/// Runs it; the exit code and the step as it ended.
fn run(project: &Project) -> (i32, Value) {
    let finished = project.json(&["run", "pipeline.yaml"]);
    project.assert_log_verifies();
    let view = finished.value();
    (finished.status.code().expect("not killed"), view["steps"][0].clone())
}

/// The message of a run that must fail.
#[track_caller]
fn failure(project: &Project) -> String {
    let (code, step) = run(project);
    assert_eq!((code, &step["status"]), (1, &Value::from("failed")), "{step:#}");
    redact(project, step["error"]["message"].as_str().expect("an error has a message"))
}

const SCHEMA: &str = r#"echo '{"type":"SCHEMA","stream":"rows","key_properties":["id"],"schema":{"type":"object","properties":{"id":{"type":"integer"},"n":{"type":["null","number"]},"t":{"type":["null","string"]}}}}'
"#;

fn record(id: u32) -> String {
    format!("echo '{{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{{\"id\":{id}}}}}'\n")
}

fn state(id: u32) -> String {
    format!(
        "echo '{{\"type\":\"STATE\",\"value\":{{\"bookmarks\":{{\"rows\":{{\"id\":{id}}}}}}}}}'\n"
    )
}

/// Schema, a record and a STATE that its target confirms.
fn beginning() -> String {
    [SCHEMA.to_owned(), record(1), state(1)].concat()
}

#[test]
fn garbage_between_messages_is_logged_and_counted_and_everything_else_is_moved() {
    let tap = [
        "echo 'Starting up...'\n".to_owned(),
        beginning(),
        "echo\necho 'WARNING: something'\n".to_owned(),
        record(2),
        state(2),
    ];
    let project = sync_of(&tap.concat());
    let (code, step) = run(&project);
    assert_eq!(code, 0, "{step:#}");
    assert_eq!(step["output"]["records"], 2);
    assert_eq!(step["output"]["rejected"], 2);
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n{\"id\":2}\n");
    let logs = project.flexcore(&["logs"]).completes().stdout;
    assert!(logs.contains("Starting up...") && logs.contains("WARNING: something"), "{logs}");
}

#[test]
fn half_a_line_at_the_end_is_not_passed_on() {
    let tap = beginning() + "printf '{\"type\":\"RECORD\",\"stream\":\"rows\",\"rec'\n";
    let project = sync_of(&tap);
    let message = failure(&project);
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    assert_eq!(bookmark(&project), 1);
    assert_snapshot!(message);
}

#[test]
fn a_last_line_that_is_whole_but_for_its_newline_is_passed_on() {
    let tap = beginning() + &record(2).replace("echo", "printf %s");
    let project = sync_of(&tap);
    let (code, step) = run(&project);
    assert_eq!(code, 0, "{step:#}");
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n{\"id\":2}\n");
}

#[test]
fn text_that_is_not_utf_8_fails_at_its_line() {
    let tap = beginning()
        + "printf '{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{\"id\":2,\"t\":\"\\377\"}}\\n'\n";
    let project = sync_of(&tap);
    let message = failure(&project);
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    assert_eq!(bookmark(&project), 1);
    assert_snapshot!(message);
}

#[test]
fn nan_is_no_number_and_fails_at_its_line() {
    let tap = beginning()
        + "echo '{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{\"id\":2,\"n\":NaN}}'\n"
        + &state(2);
    let project = sync_of(&tap);
    let message = failure(&project);
    // The target fails before it confirms: neither the row nor the bookmark is there.
    assert_eq!(project.read("out/rows.jsonl"), "");
    let view = project.json(&["bookmark", "show", "odd/load"]).completes().value();
    assert!(view["state"].is_null(), "{view:#}");
    assert_snapshot!(message);
}

#[test]
fn a_line_above_the_limit_fails_and_nothing_of_it_is_passed_on() {
    let tap = beginning()
        + "printf '{\"type\":\"RECORD\",\"stream\":\"rows\",\"record\":{\"id\":2,\"t\":\"'\n\
           head -c 70000 /dev/zero | tr '\\0' x\nprintf '\"}}\\n'\n"
        + &record(3);
    let project = sync_of(&tap);
    let message = failure(&project);
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    assert_eq!(bookmark(&project), 1);
    assert_snapshot!(message);
}

#[test]
fn a_line_of_a_gibibyte_is_given_up_at_the_default_limit() {
    let tap = beginning() + "head -c 1073741824 /dev/zero | tr '\\0' x\n";
    let project = sync_of(&tap);
    project.write("pipeline.yaml", project.read("pipeline.yaml").replace("max_line: 64KiB", ""));
    let start = Instant::now();
    let message = failure(&project);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_snapshot!(message);
}

#[test]
fn a_target_that_dies_in_the_middle_is_the_error_that_is_shown() {
    let project = sync_of(&(beginning() + "while :; do echo '{}'; done\n"));
    let pipeline = project
        .read("pipeline.yaml")
        .replace("{ plugin: target-jsonl, config: { path: out } }", "{ command: [sh, target.sh] }");
    project.write("pipeline.yaml", pipeline);
    project.write("target.sh", "read line; echo 'CRITICAL no room for records' >&2; exit 7\n");
    let message = failure(&project);
    let (_, step) = run_again(&project);
    assert_eq!(step["error"]["exit_code"], 7, "{step:#}");
    assert_snapshot!(message);
}

/// Runs a pipeline whose last execution failed; a plain run is a new execution.
fn run_again(project: &Project) -> (i32, Value) {
    run(project)
}

#[test]
fn a_tap_that_fails_after_a_bookmark_keeps_the_bookmark() {
    let tap = beginning()
        + "echo 'Traceback (most recent call last):' >&2\n"
        + "echo 'ValueError: no such table' >&2\nexit 3\n";
    let project = sync_of(&tap);
    let message = failure(&project);
    assert_eq!(bookmark(&project), 1);
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    assert_snapshot!(message);
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let project = Project::with(
        "pipeline: odd\nsteps:\n  - id: load\n    sync:\n      tap: { command: [no-such-tap] }\n      \
         target: { plugin: target-jsonl, config: { path: out } }\n",
    );
    let tap = failure(&project);
    project.write(
        "pipeline.yaml",
        "pipeline: odd\nsteps:\n  - { id: load, command: { argv: [./no-such-program, x] } }\n",
    );
    assert_snapshot!(format!("{tap}\n{}", failure(&project)));
}

#[test]
fn a_record_before_its_schema_fails_at_its_line() {
    assert_snapshot!(failure(&sync_of(&record(1))));
}

#[test]
fn a_setting_that_a_connector_does_not_have_is_named() {
    let project = sync_of(&beginning());
    let pipeline = project.read("pipeline.yaml").replace("path: out", "paht: out");
    project.write("pipeline.yaml", pipeline);
    assert_snapshot!(failure(&project));
}

/// The id in the bookmark.
fn bookmark(project: &Project) -> u64 {
    let view = project.json(&["bookmark", "show", "odd/load"]).completes().value();
    view["state"]["bookmarks"]["rows"]["id"].as_u64().unwrap_or_else(|| panic!("{view:#}"))
}
