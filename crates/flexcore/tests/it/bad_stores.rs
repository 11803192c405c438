//! Stores that are in use, of another version, or not as they were written.

use std::{fs, os::unix::fs::FileExt as _, path::PathBuf, time::Duration};

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    project::{Project, Running, redact, wait_until},
    random::Random,
};

/// Two steps, the second of which waits for a file.
const WAITS: &str = "\
pipeline: waits
steps:
  - id: first
    command: { argv: [echo, first] }
  - id: second
    needs: [first]
    command: { run: \"touch waiting; while [ ! -e go ]; do sleep 0.01; done\" }
";

/// A run that has come to its second step and stays there until `go` is written.
fn waiting() -> (Project, Running) {
    let project = Project::with(WAITS);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    (project, running)
}

#[test]
fn a_second_run_is_refused_and_told_who_holds_the_store() {
    let (project, running) = waiting();
    let second = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(second.stderr.contains(&running.pid().to_string()), "{second}");
    assert!(second.stderr.contains("waits"), "{second}");
    let resume = project.flexcore(&["run", "--resume", "pipeline.yaml"]).ends_with(4);
    assert!(resume.stderr.contains(&running.pid().to_string()), "{resume}");
    let retry = project.flexcore(&["execution", "retry", "last"]).ends_with(4);
    assert_snapshot!(redact(&project, &format!("{}\n{}", second.stderr, retry.stderr)));
    project.write("go", "");
    running.finish().completes();
    project.assert_log_verifies();
}

#[test]
fn a_running_execution_is_seen_by_every_reader() {
    let (project, running) = waiting();
    let execution = project.last_execution();
    assert_eq!(execution["status"], "running");
    assert_eq!(execution["steps"][0]["status"], "completed");
    assert_eq!(execution["steps"][1]["status"], "running");
    let list = project.json(&["execution", "list", "--status", "running"]).completes().value();
    assert_eq!(list["items"][0]["id"], execution["id"]);
    let pipelines = project.json(&["pipeline", "list"]).completes().value();
    assert_eq!(pipelines["items"][0]["name"], "waits");
    assert!(project.flexcore(&["logs"]).completes().stdout.contains("first"));
    project.assert_log_verifies();
    project.json(&["events", "stats"]).completes();
    project.json(&["plan", "pipeline.yaml"]).completes();
    project.write("go", "");
    running.finish().completes();
    assert_eq!(project.last_execution()["status"], "completed");
}

#[test]
fn a_run_is_cancelled_from_another_terminal() {
    let (project, running) = waiting();
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    let asked = project.json(&["execution", "cancel", "last", "--reason", "enough"]).completes();
    assert!(asked.value()["position"].as_u64() > Some(0), "{asked}");
    running.finish().ends_with(130);
    let execution = project.last_execution();
    assert_eq!(execution["status"], "cancelled");
    assert_eq!(execution["steps"][1]["status"], "cancelled");
    assert_eq!(crate::project::attempts_alive(&id), Vec::<String>::new());
    project.assert_log_verifies();
}

#[test]
fn a_project_with_a_long_path_is_reached_as_any_other() {
    let project = Project::with(WAITS).far_down();
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    project.flexcore(&["execution", "cancel", "last"]).completes();
    running.finish().ends_with(130);
    assert_eq!(project.last_execution()["status"], "cancelled");
}

#[test]
fn bookmarks_are_changed_while_another_pipeline_runs() {
    let (project, running) = waiting();
    project.write(
        "copy.yaml",
        "pipeline: copy\nsteps:\n  - { id: load, sync: { tap: { plugin: tap-csv, config: { files: \
         [{ path: rows.csv }] } }, target: { plugin: target-jsonl, config: { path: out } } } }\n",
    );
    project.write("rows.csv", "id\n1\n2\n");
    project.write("go", "");
    running.finish().completes();
    project.flexcore(&["run", "copy.yaml"]).completes();
    fs::remove_file(project.path("go")).expect("the file");
    let again = project.start(&["run", "pipeline.yaml"]);
    fs::remove_file(project.path("waiting")).expect("the file");
    wait_until("the second step runs", || project.path("waiting").exists());
    project.json(&["bookmark", "reset", "copy/load"]).completes();
    let view = project.json(&["bookmark", "show", "copy/load"]).completes().value();
    assert!(view["state"].is_null(), "{view:#}");
    project.write("go", "");
    again.finish().completes();
    project.assert_log_verifies();
}

/// A store with a completed execution of a sync and a command.
fn written() -> Project {
    let project = Project::with(
        "pipeline: copy\nsteps:\n  - { id: load, sync: { tap: { plugin: tap-csv, config: { files: \
         [{ path: rows.csv }] } }, target: { plugin: target-jsonl, config: { path: out } } } }\n  \
         - { id: say, needs: [load], command: { argv: [echo, done] } }\n",
    );
    project.write("rows.csv", "id\n1\n2\n");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    project
}

fn log(project: &Project) -> PathBuf {
    project.path(".flexcore/log.db")
}

#[test]
fn a_store_of_a_newer_version_is_refused() {
    let project = written();
    // The user version of a SQLite database: four bytes, big-endian, at 60 (file format, 1.3).
    let file = fs::File::options().write(true).open(log(&project)).expect("the log");
    file.write_all_at(&1_000_000_u32.to_be_bytes(), 60).expect("a write");
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(5);
    let show = project.flexcore(&["execution", "show"]).ends_with(5);
    let verify = project.flexcore(&["events", "verify"]).ends_with(5);
    for refused in [&run, &show, &verify] {
        assert!(refused.stderr.contains("1000000"), "{refused}");
    }
    assert_snapshot!(redact(&project, &run.stderr));
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let project =
        Project::with("pipeline: a\nsteps:\n  - { id: a, command: { argv: [\"true\"] } }\n");
    project.write(".flexcore/log.db", "this is somebody's diary\n".repeat(100));
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(5);
    assert!(project.read(".flexcore/log.db").starts_with("this is somebody's diary"));
    assert_snapshot!(redact(&project, &run.stderr));
}

#[test]
fn a_flipped_bit_is_found_or_proven_harmless() {
    let project = written();
    let whole = fs::read(log(&project)).expect("the log");
    let mut random = Random::seeded(5);
    let mut found = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        let place = usize::try_from(random.below(whole.len() as u64)).expect("a file in memory");
        bytes[place] ^= 1 << random.below(8);
        fs::write(log(&project), &bytes).expect("a write");
        let verified = project.json(&["events", "verify"]);
        match verified.status.code() {
            Some(0) => assert_eq!(verified.value()["intact"], true),
            Some(1) => {
                let fault = &verified.value()["fault"];
                assert!(fault["batch"].is_u64() || fault["page"].is_u64(), "{place}: {verified}");
                assert!(fault["last_good_position"].is_u64(), "{place}: {verified}");
                found += 1;
            }
            // The header and the schema: what cannot be opened at all.
            Some(5) => found += 1,
            _ => panic!("byte {place}: {verified}"),
        }
    }
    assert!(found > 5, "{found} of 60 found");
    fs::write(log(&project), &whole).expect("a write");
    project.assert_log_verifies();
}

#[test]
fn a_changed_word_of_an_event_is_named_by_its_batch() {
    let project = written();
    let whole = fs::read(log(&project)).expect("the log");
    let word = b"StepCompleted";
    let payload = br#""output""#;
    let place = whole.windows(payload.len()).position(|bytes| bytes == payload);
    let place = place.unwrap_or_else(|| panic!("no payload in clear beside {word:?}"));
    let mut bytes = whole.clone();
    bytes[place + 1] = b'O';
    fs::write(log(&project), &bytes).expect("a write");
    let verified = project.json(&["events", "verify"]).ends_with(1).value();
    assert!(verified["fault"]["batch"].as_u64() > Some(0), "{verified:#}");
    let text = project.flexcore(&["events", "verify"]).ends_with(1);
    assert!(text.stdout.contains("batch"), "{text}");
}

/// A run that was killed, with its events still in the write-ahead log.
fn killed() -> (Project, PathBuf) {
    let (project, running) = waiting();
    // A list brings the views up to date, so that they prove what the log had.
    project.json(&["execution", "list"]).completes();
    assert!(running.kill_after(Duration::ZERO));
    let wal = project.path(".flexcore/log.db-wal");
    assert!(fs::metadata(&wal).expect("a write-ahead log").len() > 0);
    (project, wal)
}

#[test]
fn a_cut_write_ahead_log_is_reported_where_the_views_prove_the_loss() {
    let (project, wal) = killed();
    let length = fs::metadata(&wal).expect("it is there").len();
    let file = fs::File::options().write(true).open(&wal).expect("it is there");
    file.set_len(length / 3).expect("a shorter file");
    let verified = project.json(&["events", "verify"]);
    assert_ne!(verified.status.code(), Some(0), "{verified}");
    let run = project.flexcore(&["run", "--resume", "pipeline.yaml"]);
    assert_eq!(run.status.code(), Some(5), "{run}");
    assert_snapshot!(redact(&project, &run.stderr));
}

#[test]
fn a_flipped_byte_of_the_write_ahead_log_is_reported_where_the_views_prove_the_loss() {
    let (project, wal) = killed();
    let mut bytes = fs::read(&wal).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&wal, bytes).expect("a write");
    let verified = project.json(&["events", "verify"]);
    assert_ne!(verified.status.code(), Some(0), "{verified}");
}

#[test]
fn readers_of_a_project_without_a_store_say_so() {
    let project = Project::with(WAITS);
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"], json!([]));
    let list = project.json(&["pipeline", "list"]).completes().value();
    assert_eq!(list["items"], json!([]));
    let show = project.flexcore(&["execution", "show"]).ends_with(4);
    let logs = project.flexcore(&["logs"]).ends_with(4);
    let verify = project.flexcore(&["events", "verify"]).ends_with(4);
    assert!(!project.path(".flexcore").exists(), "readers make no store");
    assert_snapshot!(redact(&project, &[show.stderr, logs.stderr, verify.stderr].concat()));
}
