//! Several folders, and so several machines, on one database.

use std::sync::Arc;

use serde_json::Value;

use super::{Database, WAITS};
use crate::project::{Project, Running, attempts_alive, wait_until};

/// A run that has come to its second step and stays there until `go` is written.
fn waiting(database: &Arc<Database>, ttl: &str) -> (Project, Running) {
    let mut project = database.of(Project::with(WAITS));
    project.set("FLEXCORE_LEASE_TTL", ttl);
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || project.path("waiting").exists());
    (project, running)
}

/// Another folder with the same pipeline.
fn beside(database: &Arc<Database>, ttl: &str) -> Project {
    let mut project = database.of(Project::with(WAITS));
    project.set("FLEXCORE_LEASE_TTL", ttl);
    project
}

fn id(execution: &Value) -> &str {
    execution["id"].as_str().expect("an id")
}

#[test]
fn two_folders_run_pipelines_of_their_own_at_once() {
    let database = Database::new();
    let (one, first) = waiting(&database, "6s");
    let two = database.of(Project::with(&WAITS.replace("pipeline: waits", "pipeline: other")));
    let second = two.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs there too", || two.path("waiting").exists());
    let running = two.json(&["execution", "list", "--status", "running"]).completes().value();
    assert_eq!(running["items"].as_array().map(Vec::len), Some(2), "{running:#}");
    for (project, run) in [(&one, first), (&two, second)] {
        project.write("go", "");
        run.finish().completes();
        project.assert_log_verifies();
    }
    let names: Vec<_> = one.json(&["pipeline", "list"]).completes().value()["items"]
        .as_array()
        .expect("pipelines")
        .iter()
        .map(|pipeline| pipeline["name"].to_string())
        .collect();
    assert_eq!(names, ["\"other\"", "\"waits\""]);
}

/// As by cron on two machines: nobody takes for interrupted what the other has just created.
#[test]
fn two_that_start_one_pipeline_at_the_same_moment_run_one_execution_each() {
    let database = Database::new();
    let pipeline = "pipeline: tick\nsteps:\n  - { id: a, command: { run: \"echo a >> trace\" } }\n";
    let machines: Vec<Project> = (0..4).map(|_| database.of(Project::with(pipeline))).collect();
    machines[0].flexcore(&["run", "pipeline.yaml"]).completes();
    for round in 2..5 {
        let runs = machines.iter().map(|machine| machine.start(&["run", "pipeline.yaml"]));
        for run in runs.collect::<Vec<_>>() {
            run.finish().completes();
        }
        for machine in &machines[1..] {
            assert_eq!(machine.read("trace").lines().count(), round - 1);
        }
    }
    let list = machines[0].json(&["execution", "list"]).completes().value();
    let list = list["items"].as_array().expect("a list");
    assert_eq!(list.len(), 13);
    assert!(list.iter().all(|execution| execution["status"] == "completed"), "{list:#?}");
    machines[0].assert_log_verifies();
}

const COPY: &str = "\
pipeline: copy
steps:
  - id: load
    sync: { tap: { command: [sh, tap.sh] }, target: { plugin: target-jsonl, config: { path: out } } }
";

/// A tap that waits for a file in the middle of its stream.
const SLOW_TAP: &str = r#"
case "$*" in *--discover*) exit 1 ;; esac
echo '{"type":"SCHEMA","stream":"rows","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}'
echo '{"type":"RECORD","stream":"rows","record":{"id":1}}'
touch waiting
while [ ! -e go ]; do sleep 0.01; done
echo '{"type":"STATE","value":{"bookmarks":{"rows":{"id":1}}}}'
"#;

#[test]
fn a_sync_that_is_under_way_elsewhere_is_not_run_twice() {
    let database = Database::new();
    let machine = || {
        let project = database.of(Project::with(COPY));
        project.write("tap.sh", SLOW_TAP);
        project
    };
    let (one, two) = (machine(), machine());
    let running = one.start(&["run", "pipeline.yaml"]);
    wait_until("the tap runs", || one.path("waiting").exists());
    two.write("go", "");
    let refused = two.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    let holder = one.json(&["execution", "list", "--status", "running"]).completes().value();
    let holder = holder["items"][0]["id"].as_str().expect("an id").to_owned();
    assert!(refused.stderr.contains(&holder), "it says who holds the sync: {refused}");
    assert!(!two.path("waiting").exists(), "its tap was not started");
    one.write("go", "");
    running.finish().completes();
    two.flexcore(&["run", "pipeline.yaml"]).completes();
    one.assert_log_verifies();
}

#[test]
fn of_two_that_want_one_execution_one_runs_and_the_other_is_told_who() {
    let database = Database::new();
    let (one, running) = waiting(&database, "2s");
    let pid = running.pid().to_string();
    let two = beside(&database, "2s");
    let resumed = two.flexcore(&["run", "--resume", "pipeline.yaml"]).ends_with(4);
    assert!(resumed.stderr.contains("waiting"), "{resumed}");
    assert!(resumed.stderr.contains("FC0511") && resumed.stderr.contains(&pid), "{resumed}");
    assert_eq!(two.read("trace"), "", "nothing ran here");
    one.write("go", "");
    running.finish().completes();
    assert_eq!(one.read("trace").lines().count(), 3);
    assert_eq!(one.events().iter().filter(|e| e.kind == "PipelineExecutionClaimed").count(), 1);
    one.assert_log_verifies();
}

#[test]
fn a_second_run_in_the_same_folder_is_told_who_holds_it() {
    let database = Database::new();
    let (project, running) = waiting(&database, "6s");
    let second = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(second.stderr.contains("FC0403"), "{second}");
    assert!(second.stderr.contains(&running.pid().to_string()), "{second}");
    assert!(second.stderr.contains("run of `waits`"), "{second}");
    project.write("go", "");
    running.finish().completes();
}

#[test]
fn an_execution_is_cancelled_from_another_folder() {
    let database = Database::new();
    let (one, running) = waiting(&database, "6s");
    let two = beside(&database, "6s");
    let asked = two.flexcore(&["execution", "cancel", "last", "--reason", "enough"]).completes();
    assert!(asked.stdout.contains("cancellation requested"), "{asked}");
    assert!(asked.stdout.contains(&format!(":{} drives", running.pid())), "{asked}");
    running.finish().ends_with(130);
    let execution = two.last_execution();
    assert_eq!(execution["status"], "cancelled");
    assert_eq!(attempts_alive(id(&execution)), Vec::<String>::new());
    one.assert_log_verifies();
}

#[test]
fn an_execution_of_a_folder_that_was_killed_is_finished_by_another() {
    let database = Database::new();
    let (one, running) = waiting(&database, "2s");
    let execution = one.last_execution();
    running.signal(rustix::process::Signal::KILL);
    running.finish();
    let two = beside(&database, "2s");
    two.write("go", "");
    let resumed = two.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert!(resumed.stderr.contains("if that is gone, its lease ends in"), "{resumed}");
    assert_eq!(two.last_execution()["id"], execution["id"]);
    assert_eq!(two.read("trace").lines().count(), 2, "the first step had completed");
    assert_eq!(attempts_alive(id(&execution)), Vec::<String>::new());
    two.assert_log_verifies();
}
