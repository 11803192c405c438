//! `flexcore run`: what it runs, with what, and beside what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::project::{Project, wait_until};

/// Three steps in a row, each of which leaves its name in `trace`.
const CHAIN: &str = "\
pipeline: chain
params:
  suffix: { type: string, default: '' }
  count: { type: integer, default: 1 }
steps:
  - { id: one, command: { run: \"echo one{{ params.suffix }} >> trace\" } }
  - { id: two, needs: [one], command: { run: \"echo two >> trace; [ ! -e broken ]\" } }
  - { id: three, needs: [two], command: { run: \"echo three >> trace\" } }
";

fn chain() -> Project {
    Project::with(CHAIN)
}

fn trace(project: &Project) -> Vec<String> {
    project.read("trace").lines().map(str::to_owned).collect()
}

/// A chain whose execution was killed in its second step.
fn interrupted() -> Project {
    let project =
        Project::with(&CHAIN.replace("[ ! -e broken ]", "while [ ! -e go ]; do sleep 0.01; done"));
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the second step runs", || trace(&project).len() == 2);
    assert!(running.kill_after(Duration::ZERO));
    project.write("go", "");
    project
}

#[test]
fn a_pipeline_runs_by_its_file_and_by_its_name() {
    let project = Project::new();
    project.write("flexcore.yaml", "pipelines: [pipelines/**/*.yaml]\nwritable: ['.']\n");
    project.write("pipelines/deep/chain.yaml", CHAIN);
    project.flexcore(&["run", "chain"]).completes();
    project.flexcore(&["run", "pipelines/deep/chain.yaml"]).completes();
    assert_eq!(trace(&project), ["one", "two", "three", "one", "two", "three"]);
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(list["items"][0]["version"], 1, "the definition did not change");
    let text = project.flexcore(&["run", "chain"]).completes();
    for step in ["one", "two", "three"] {
        assert!(text.stdout.contains(step), "{text}");
    }
}

#[test]
fn a_changed_definition_is_a_new_version_and_a_comment_is_not() {
    let project = chain();
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    project.write("pipeline.yaml", format!("# a comment\n{CHAIN}"));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.last_execution()["version"], 1);
    project.write("pipeline.yaml", CHAIN.replace("echo three", "echo 3"));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.last_execution()["version"], 2);
}

#[test]
fn a_pipeline_runs_from_any_folder_of_its_project() {
    let project = Project::new();
    project.write("flexcore.yaml", "pipelines: [pipelines/*.yaml]\nwritable: ['.']\n");
    project.write("pipelines/chain.yaml", CHAIN);
    let mut command = project.command(&["run", "chain.yaml"]);
    let output = command.current_dir(project.path("pipelines")).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(trace(&project), ["one", "two", "three"]);
    assert!(project.path(".flexcore/log.db").exists());
    assert!(!project.path("pipelines/.flexcore").exists());
}

#[test]
fn a_store_elsewhere_is_used_where_it_is_named() {
    let mut project = chain();
    project.flexcore(&["run", "pipeline.yaml", "--store", "../elsewhere"]).completes();
    assert!(!project.path(".flexcore").exists());
    let listed = project.json(&["execution", "list", "--store", "../elsewhere"]).completes();
    assert_eq!(listed.value()["items"].as_array().map(Vec::len), Some(1));
    project.set("FLEXCORE_STORE", "../elsewhere");
    assert_eq!(project.last_execution()["status"], "completed");
    let refused =
        project.flexcore(&["run", "pipeline.yaml", "--store", "mysql://db/x"]).ends_with(4);
    assert!(refused.stderr.contains("not supported yet"), "{refused}");
}

#[test]
fn parameters_are_typed_and_recorded() {
    let project = chain();
    let arguments = ["run", "pipeline.yaml", "--param", "suffix= and a half", "--param", "count=3"];
    project.flexcore(&arguments).completes();
    assert_eq!(trace(&project)[0], "one and a half");
    let params = project.last_execution()["params"].clone();
    assert_eq!(params, json!({ "suffix": " and a half", "count": 3 }));
    for wrong in ["count=many", "nope=1", "count=1.5"] {
        let refused = project.flexcore(&["run", "pipeline.yaml", "--param", wrong]);
        assert!(matches!(refused.status.code(), Some(3 | 4)), "{refused}");
        let name = wrong.split('=').next().expect("a name");
        assert!(refused.stderr.contains(name), "{refused}");
    }
    assert_eq!(trace(&project).len(), 3, "nothing ran");
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "nothing was recorded");
}

#[test]
fn only_one_step_or_a_step_and_what_depends_on_it() {
    let project = chain();
    project.flexcore(&["run", "pipeline.yaml", "--only", "two"]).completes();
    assert_eq!(trace(&project), ["two"]);
    project.flexcore(&["run", "pipeline.yaml", "--from", "two"]).completes();
    assert_eq!(trace(&project), ["two", "two", "three"]);
    let refused = project.flexcore(&["run", "pipeline.yaml", "--only", "tow"]);
    assert!(matches!(refused.status.code(), Some(3 | 4)), "{refused}");
    assert!(refused.stderr.contains("tow"), "{refused}");
    assert_eq!(trace(&project).len(), 3);
}

#[test]
fn an_environment_changes_settings_and_a_wrong_one_is_refused() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: show, command: { run: \"echo {{ run.environment }} {{ env.LEVEL }} > seen\" }, env: { LEVEL: plain } }\n",
    );
    project.write(
        "flexcore.yaml",
        "writable: ['.']\nenvironments:\n  dev: {}\n  prod: { pipelines: { p: { steps: { show: { env: { LEVEL: high } } } } } }\n",
    );
    project.flexcore(&["run", "pipeline.yaml", "--environment", "prod"]).completes();
    assert_eq!(project.read("seen"), "prod high\n");
    assert_eq!(project.last_execution()["environment"], "prod");
    project.flexcore(&["run", "pipeline.yaml", "--environment", "dev"]).completes();
    assert_eq!(project.read("seen"), "dev plain\n");
    let refused = project.flexcore(&["run", "pipeline.yaml", "-e", "pord"]).ends_with(3);
    assert!(refused.stderr.contains("prod"), "{refused}");
}

#[test]
fn a_resume_goes_on_with_an_interrupted_execution() {
    let project = interrupted();
    // What the file says now is not what the execution started with.
    project.write("pipeline.yaml", CHAIN.replace("echo three", "echo changed"));
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert_eq!(trace(&project), ["one", "two", "two", "three"]);
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    project.assert_log_verifies();
}

#[test]
fn a_resume_of_a_completed_execution_says_so() {
    let project = chain();
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let resumed = project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert!(resumed.stderr.contains("completed already"), "{resumed}");
    assert_eq!(trace(&project).len(), 3);
}

#[test]
fn a_resume_of_a_failed_execution_names_the_retry() {
    let project = chain();
    project.write("broken", "");
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    let resumed = project.flexcore(&["run", "--resume", "pipeline.yaml"]).ends_with(1);
    assert!(resumed.stderr.contains("flexcore execution retry ex_"), "{resumed}");
    assert_eq!(trace(&project), ["one", "two"]);
}

#[test]
fn a_resume_of_nothing_starts() {
    let project = chain();
    project.flexcore(&["run", "--resume", "pipeline.yaml"]).completes();
    assert_eq!(trace(&project), ["one", "two", "three"]);
}

#[test]
fn a_retry_runs_what_did_not_complete() {
    let project = chain();
    project.write("broken", "");
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    std::fs::remove_file(project.path("broken")).expect("the file");
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    let retried = project.json(&["execution", "retry", &id[..id.len() - 4]]).completes();
    assert_eq!(retried.value()["id"], Value::from(id));
    assert_eq!(trace(&project), ["one", "two", "two", "three"]);
    let refused = project.flexcore(&["execution", "retry", "last"]).ends_with(4);
    assert!(refused.stderr.contains("completed"), "{refused}");
}

#[test]
fn a_plain_run_beside_an_interrupted_execution_goes_on_without_a_terminal() {
    let project = interrupted();
    let run = project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert!(run.stderr.contains("going on with ex_"), "{run}");
    assert_eq!(trace(&project), ["one", "two", "two", "three"]);
}

#[test]
fn a_plain_run_beside_an_interrupted_execution_is_refused_where_that_is_asked_for() {
    let project = interrupted();
    let arguments = ["run", "pipeline.yaml", "--on-unfinished", "refuse"];
    let refused = project.flexcore(&arguments).ends_with(4);
    assert!(refused.stderr.contains("--resume"), "{refused}");
    assert_eq!(trace(&project).len(), 2);
    // Giving it up makes room for another.
    project.flexcore(&["execution", "cancel", "last"]);
    assert_eq!(project.last_execution()["status"], "cancelled");
    project.flexcore(&arguments).completes();
    assert_eq!(trace(&project).len(), 5);
}

#[test]
fn on_a_terminal_an_interrupted_execution_is_not_gone_on_with_unasked() {
    let project = interrupted();
    let refused = project.on_terminal(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(refused.stdout.contains("--resume"), "{refused}");
    assert_eq!(trace(&project).len(), 2);
    let resumed = project.on_terminal(&["run", "--resume", "pipeline.yaml"]).completes();
    assert!(resumed.stdout.contains("three"), "{resumed}");
    assert_eq!(trace(&project), ["one", "two", "two", "three"]);
}

#[test]
fn of_two_resumes_at_a_time_one_runs() {
    let project = interrupted();
    let resumes = [(); 2].map(|()| project.start(&["run", "--resume", "pipeline.yaml"]));
    let mut codes = resumes.map(|resume| resume.finish().status.code());
    codes.sort_unstable();
    // The one that comes late is refused, or finds it completed.
    assert!(matches!(codes, [Some(0), Some(0 | 4)]), "{codes:?}");
    assert_eq!(trace(&project), ["one", "two", "two", "three"]);
}

#[test]
fn a_run_id_runs_once() {
    let project = chain();
    let first = project.json(&["run", "pipeline.yaml", "--run-id", "nightly-1"]).completes();
    let again = project.json(&["run", "pipeline.yaml", "--run-id", "nightly-1"]).completes();
    assert_eq!(first.value()["id"], again.value()["id"]);
    assert_eq!(trace(&project).len(), 3);
    let other = project.json(&["run", "pipeline.yaml", "--run-id", "nightly-2"]).completes();
    assert_ne!(first.value()["id"], other.value()["id"]);
    assert_eq!(trace(&project).len(), 6);
}

#[test]
fn what_there_is_no_flexcore_without_cannot_be_turned_off() {
    for name in ["FLEXCORE_EVENT_STORE_ENABLED", "FLEXCORE_CQRS_ENABLED"] {
        let mut project = chain();
        project.set(name, "false");
        let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
        assert!(refused.stderr.contains(name), "{refused}");
        assert_eq!(trace(&project), Vec::<String>::new());
    }
}

#[test]
fn a_variable_of_dot_env_is_read_and_does_not_override() {
    let mut project = Project::with(
        "pipeline: p\nsteps:\n  - { id: show, env: { A: null, B: null }, command: { run: 'echo $A $B > seen' } }\n",
    );
    project.write("flexcore.yaml", "project: p\nwritable: ['.']\n");
    project.write(".env", "A=of-file\nB=of-file\n");
    project.set("B", "of-host");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.read("seen"), "of-file of-host\n");
}

#[test]
fn quiet_shows_only_results_and_no_terminal_shows_plain_lines() {
    let project = chain();
    let loud = project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert!(loud.stderr.contains("two") && !loud.stderr.contains('\u{1b}'), "{loud}");
    let quiet = project.flexcore(&["run", "pipeline.yaml", "--quiet"]).completes();
    assert_eq!(quiet.stderr, "");
}
