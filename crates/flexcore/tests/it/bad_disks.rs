//! Full disks and folders that cannot be written.

use std::{fs, path::Path};

use insta::assert_snapshot;

use crate::{
    mounts::{Mount, in_own_mounts},
    project::{Project, redact},
};

const COPY: &str = "\
pipeline: copy
steps:
  - id: load
    sync:
      tap: { plugin: tap-csv, config: { files: [{ path: rows.csv, key: [id] }] } }
      target: { plugin: TARGET, config: { path: PATH } }
";

/// Copies `rows.csv`; more than a small file system holds.
fn copy(target: &str, path: &str) -> Project {
    let project = Project::with(&COPY.replace("TARGET", target).replace("PATH", path));
    let rows = (0..20_000).map(|id| format!("{id},{}", "x".repeat(90)));
    project.write_lines("rows.csv", std::iter::once("id,text".to_owned()).chain(rows));
    project
}

/// Leaves no room for anything.
fn fill(folder: &Path) {
    let written = fs::write(folder.join("filler"), vec![0; 64 << 20]);
    assert_eq!(written.expect_err("a small disk").kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_full_disk_under_a_file_target_fails_the_run_and_room_lets_a_retry_complete() {
    let test =
        "bad_disks::a_full_disk_under_a_file_target_fails_the_run_and_room_lets_a_retry_complete";
    full_output(test, "target-jsonl", "out", "target_jsonl_on_a_full_disk");
}

#[test]
fn a_full_disk_under_sqlite_fails_the_run_and_room_lets_a_retry_complete() {
    let test = "bad_disks::a_full_disk_under_sqlite_fails_the_run_and_room_lets_a_retry_complete";
    full_output(test, "target-sqlite", "out/rows.db", "target_sqlite_on_a_full_disk");
}

fn full_output(test: &str, target: &str, path: &str, snapshot: &str) {
    if !in_own_mounts(test) {
        return;
    }
    let project = copy(target, path);
    let disk = Mount::small(&project.path("out"), 512);
    let failed = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    let message = failed["steps"][0]["error"]["message"].as_str().expect("a message");
    // How far it came depends on how much of the disk its own bookkeeping took.
    let message = message.split_once("line ").map_or(message.to_owned(), |(before, after)| {
        format!("{before}line {}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
    });
    assert_snapshot!(snapshot, redact(&project, &message));
    project.assert_log_verifies();
    drop(disk);
    // The empty folder beneath is another disk: what was confirmed there is gone with it, which
    // only a reset may forget.
    project.flexcore(&["bookmark", "reset", "copy/load"]);
    let completed = project.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(completed["steps"][0]["records"], 20_000);
}

#[test]
fn a_full_disk_under_the_store_stops_the_run_and_loses_nothing_that_was_recorded() {
    let test =
        "bad_disks::a_full_disk_under_the_store_stops_the_run_and_loses_nothing_that_was_recorded";
    if !in_own_mounts(test) {
        return;
    }
    let project = Project::with(
        "pipeline: chatty\nsteps:\n  - { id: first, command: { argv: [touch, first] } }\n  \
         - id: second\n    needs: [first]\n    command: { run: \"echo second >> trace\" }\n",
    );
    let disk = Mount::small(&project.path(".flexcore"), 2048);
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let before = project.events().len();
    fill(&project.path(".flexcore"));
    let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(5);
    let events = project.events().len();
    project.assert_log_verifies();
    fs::remove_file(project.path(".flexcore/filler")).expect("the filler");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert!(project.events().len() > events && events >= before);
    project.assert_log_verifies();
    drop(disk);
    assert_snapshot!(redact(&project, &refused.stderr));
}

#[test]
fn a_disk_that_fills_up_during_a_run_stops_it_and_a_resume_goes_on() {
    let test = "bad_disks::a_disk_that_fills_up_during_a_run_stops_it_and_a_resume_goes_on";
    if !in_own_mounts(test) {
        return;
    }
    let project = Project::with(
        "pipeline: filling\nsteps:\n  - { id: first, command: { run: \"echo first >> trace\" } }\n  \
         - id: fill\n    needs: [first]\n    command:\n      run: |\n        echo fill >> trace\n        \
         touch waiting; while [ ! -e go ]; do sleep 0.01; done\n  \
         - { id: last, needs: [fill], command: { run: \"echo last >> trace\" } }\n",
    );
    let disk = Mount::small(&project.path(".flexcore"), 2048);
    let running = project.start(&["run", "pipeline.yaml"]);
    crate::project::wait_until("the step waits", || project.path("waiting").exists());
    // No step sees the state folder: somebody else fills its disk.
    let full = fs::write(project.path(".flexcore/filler"), vec![0; 64 << 20]);
    assert!(full.is_err(), "the disk is small");
    project.write("go", "");
    let stopped = running.finish().ends_with(5);
    assert!(stopped.stderr.contains("disk is full"), "{stopped}");
    assert_eq!(project.read("trace"), "first\nfill\n");
    project.assert_log_verifies();
    fs::remove_file(project.path(".flexcore/filler")).expect("the filler");
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert_eq!(project.read("trace"), "first\nfill\nfill\nlast\n");
    project.assert_log_verifies();
    drop(disk);
}

#[test]
fn a_store_that_cannot_be_made_is_refused() {
    let test = "bad_disks::a_store_that_cannot_be_made_is_refused";
    if !in_own_mounts(test) {
        return;
    }
    let project =
        Project::with("pipeline: a\nsteps:\n  - { id: a, command: { argv: [\"true\"] } }\n");
    let mount = Mount::read_only(project.root());
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(5);
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"], serde_json::json!([]));
    project.flexcore(&["validate", "pipeline.yaml"]).completes();
    drop(mount);
    assert_snapshot!(redact(&project, &run.stderr));
}

#[test]
fn a_store_on_a_read_only_mount_can_be_read_and_not_run() {
    let test = "bad_disks::a_store_on_a_read_only_mount_can_be_read_and_not_run";
    if !in_own_mounts(test) {
        return;
    }
    let project =
        Project::with("pipeline: a\nsteps:\n  - { id: a, command: { argv: [echo, hello] } }\n");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let mount = Mount::read_only(&project.path(".flexcore"));
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(5);
    project.assert_log_verifies();
    let shown = project.last_execution();
    assert_eq!(shown["status"], "completed");
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"][0]["id"], shown["id"]);
    let pipelines = project.json(&["pipeline", "list"]).completes().value();
    assert_eq!(pipelines["items"][0]["name"], "a");
    assert!(project.flexcore(&["logs"]).completes().stdout.contains("hello"));
    assert!(!project.events().is_empty());
    let cancel = project.flexcore(&["execution", "cancel", "last"]);
    assert_ne!(cancel.status.code(), Some(0), "{cancel}");
    drop(mount);
    assert_snapshot!(redact(&project, &run.stderr));
}

#[test]
fn a_killed_store_on_a_read_only_mount_asks_for_a_copy() {
    let test = "bad_disks::a_killed_store_on_a_read_only_mount_asks_for_a_copy";
    if !in_own_mounts(test) {
        return;
    }
    let project = Project::with(
        "pipeline: a\nsteps:\n  - { id: a, command: { run: \"echo on > on; sleep 600\" } }\n",
    );
    let running = project.start(&["run", "pipeline.yaml"]);
    crate::project::wait_until("the step runs", || project.path("on").exists());
    assert!(running.kill_after(std::time::Duration::ZERO));
    let mount = Mount::read_only(&project.path(".flexcore"));
    let refused = project.flexcore(&["events", "verify"]).ends_with(5);
    drop(mount);
    project.assert_log_verifies();
    assert_snapshot!(redact(&project, &refused.stderr));
}

#[test]
fn an_output_folder_that_cannot_be_written_fails_its_step() {
    let test = "bad_disks::an_output_folder_that_cannot_be_written_fails_its_step";
    if !in_own_mounts(test) {
        return;
    }
    let project = copy("target-jsonl", "out");
    fs::create_dir(project.path("out")).expect("a folder");
    let mount = Mount::read_only(&project.path("out"));
    let failed = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    drop(mount);
    let message = failed["steps"][0]["error"]["message"].as_str().expect("a message");
    assert_snapshot!(redact(&project, message));
    project.flexcore(&["execution", "retry", "last"]).completes();
    assert_eq!(project.read("out/rows.jsonl").lines().count(), 20_000);
}
