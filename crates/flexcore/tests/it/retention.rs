//! `flexcore store prune`: what goes, and what stays.

use serde_json::Value;

use crate::{
    postgres::Database,
    project::{Project, wait_until},
};

const TALKS: &str = "\
pipeline: talks
steps:
  - { id: say, command: { run: \"echo said; [ ! -e wait ] || { touch waits; while [ ! -e go ]; do sleep 0.01; done; }\" } }
";

fn count(project: &Project) -> usize {
    let list = project.json(&["execution", "list"]).completes().value();
    list["items"].as_array().map_or(0, Vec::len)
}

fn prune(project: &Project, more: &[&str]) -> Value {
    let arguments = [&["store", "prune", "--before", "0s"], more].concat();
    project.json(&arguments).completes().value()
}

#[test]
fn what_ended_goes_with_its_logs_and_what_runs_stays() {
    let project = Project::with(TALKS);
    for _ in 0..2 {
        project.flexcore(&["run", "pipeline.yaml"]).completes();
    }
    let events = project.events().len();
    project.write("wait", "");
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.path("waits").exists());
    let would = prune(&project, &["--logs", "--dry-run"]);
    assert_eq!((&would["executions"], &would["logs"]["executions"]), (&2.into(), &2.into()));
    assert!(would["logs"]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{would:#}");
    assert_eq!(count(&project), 3, "it was only asked");
    // The process that runs the pipeline holds the store, and does it.
    let pruned = prune(&project, &["--logs"]);
    assert_eq!(pruned["executions"], 2);
    assert_eq!(pruned["logs"], would["logs"]);
    assert_eq!(count(&project), 1);
    project.write("go", "");
    running.finish().completes();
    let logs = project.flexcore(&["logs", "last"]).completes();
    assert!(logs.stdout.contains("said"), "{logs}");
    assert_eq!(prune(&project, &[])["executions"], 1);
    assert_eq!(count(&project), 0);
    let logs = project.path(".flexcore/logs").read_dir().expect("a folder").count();
    assert_eq!(logs, 1, "logs stay unless they are asked for");
    assert_eq!(prune(&project, &["--logs"])["logs"]["executions"], 1);
    assert!(project.events().len() > events, "events are never removed");
    project.assert_log_verifies();
    project.flexcore(&["events", "replay", "--views"]).completes();
    assert_eq!(count(&project), 3, "they come back from the log");
}

#[test]
fn a_pipeline_says_how_long_its_executions_are_kept() {
    let project = Project::with(&format!("{TALKS}retention: {{ executions: 90d, logs: 0ms }}\n"));
    let other = TALKS.replace("pipeline: talks", "pipeline: other\nretention: { executions: 0ms }");
    project.write("other.yaml", &other);
    project.write("plain.yaml", TALKS.replace("pipeline: talks", "pipeline: plain"));
    for file in ["pipeline.yaml", "other.yaml", "plain.yaml"] {
        project.flexcore(&["run", file]).completes();
    }
    let plain = project.json(&["store", "prune", "--logs", "--dry-run"]).completes().value();
    assert_eq!((&plain["executions"], &plain["logs"]["executions"]), (&1.into(), &2.into()));
    assert_eq!(plain["pipelines"][0]["pipeline"], "other");
    let pruned = prune(&project, &["--logs"]);
    assert_eq!((&pruned["executions"], &pruned["logs"]["executions"]), (&2.into(), &3.into()));
    let list = project.json(&["execution", "list"]).completes().value();
    assert_eq!(list["items"][0]["pipeline"], "talks", "90 days stand over what was asked for");
    assert_eq!(count(&project), 1);
    project.assert_log_verifies();
}

#[test]
fn a_database_keeps_the_month_that_has_not_ended() {
    let project = Database::new().of(Project::with(TALKS));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let would = prune(&project, &["--logs", "--dry-run"]);
    assert_eq!((&would["executions"], &would["logs"]["executions"]), (&0.into(), &1.into()));
    let pruned = prune(&project, &["--logs"]);
    assert_eq!((&pruned["executions"], &pruned["logs"]["executions"]), (&0.into(), &1.into()));
    assert_eq!(count(&project), 1);
    project.assert_log_verifies();
}

#[test]
fn an_age_that_is_none_and_a_store_that_is_not_there_are_refused() {
    let project = Project::with(TALKS);
    let absent = project.flexcore(&["store", "prune", "--before", "90d"]).ends_with(4);
    assert!(absent.stderr.contains("FC0402"), "{absent}");
    assert!(!project.path(".flexcore").exists(), "nothing is made");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    for (before, why) in [("soon", "neither an age nor a time"), ("2999-01-01T00:00:00Z", "future")]
    {
        let refused = project.flexcore(&["store", "prune", "--before", before]);
        assert!(refused.stderr.contains(why), "{refused}");
    }
    assert_eq!(count(&project), 1);
}
