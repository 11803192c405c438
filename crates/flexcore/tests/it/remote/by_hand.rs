//! Verbs with a server feel as they do without.

use rustix::process::Signal;
use serde_json::json;

use super::{Served, empty};
use crate::project::{Project, wait_until};

const TWO_STEPS: &str = "\
pipeline: two-steps
steps:
  - { id: one, command: { run: \"echo '{\\\"n\\\": 42}' > $FLEXCORE_OUTPUT\" } }
  - { id: two, needs: [one], command: { run: \"test ! -e data/broken\" } }
";

const WAITS: &str = "\
pipeline: waits
steps:
  - { id: wait, command: { run: \"touch waiting; while [ ! -e go ]; do sleep 0.01; done\" } }
";

#[test]
fn a_pipeline_is_run_shown_and_retried() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(TWO_STEPS);
    let run = there.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    for shown in ["two-steps version 1", "one", "completed"] {
        assert!(run.stderr.contains(shown) || run.stdout.contains(shown), "{shown}: {run:?}");
    }
    // Nothing of it lies where it was asked for.
    assert!(!there.path(".flexcore").exists());

    let shown = there.json(&["execution", "show", "last"]).completes().value();
    assert_eq!(
        (&shown["status"], &shown["steps"][0]["output"]["n"]),
        (&json!("completed"), &json!(42))
    );
    let listed = there.json(&["pipeline", "list"]).completes().value();
    assert_eq!(listed["items"][0]["name"], "two-steps");
    let read = there.json(&["events", "read", "--limit", "1000"]).completes().value();
    assert!(read["items"].as_array().is_some_and(|events| events.len() > 5));
    assert_eq!(there.json(&["events", "verify"]).completes().value()["intact"], true);
    let tail = there.flexcore(&["events", "tail", "--no-follow", "-n", "3"]).ends_with(0);
    assert_eq!(tail.stdout.lines().count(), 3, "{}", tail.stdout);

    here.write("data/broken", "");
    let failed = there.flexcore(&["run", "two-steps"]).ends_with(1);
    assert!(failed.stderr.contains("execution retry"), "{}", failed.stderr);
    std::fs::remove_file(here.path("data/broken")).expect("it was there");
    there.flexcore(&["execution", "retry", "last"]).ends_with(0);
    let again = there.flexcore(&["run", "two-steps", "--resume"]).ends_with(0);
    assert!(again.stderr.contains("completed already"), "{}", again.stderr);
    server.end();
    here.assert_log_verifies();
}

#[test]
fn what_steps_wrote_is_shown_and_followed() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(
        "pipeline: talks\nsteps:\n  - { id: a, command: { run: \"echo first; touch said; while [ ! -e go ]; do sleep 0.01; done; echo last\" } }\n",
    );
    let running = there.start(&["run", "pipeline.yaml"]);
    wait_until("it talks", || here.path("said").exists());
    let follower = there.start(&["logs", "--follow"]);
    wait_until("the first line is shown", || follower.stdout().contains("first"));
    here.write("go", "");
    let logs = follower.finish().ends_with(0);
    assert_eq!(logs.stdout.matches("last").count(), 1, "{}", logs.stdout);
    running.finish().ends_with(0);
    let shown = there.json(&["logs", "last", "--step", "a"]).completes().value();
    let lines: Vec<_> = shown["lines"].as_array().expect("lines").iter().collect();
    assert!(lines.iter().any(|line| line["line"] == "first"), "{shown:#}");
    server.end();
}

#[test]
fn one_key_is_one_execution() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(TWO_STEPS);
    let arguments = ["run", "pipeline.yaml", "--run-id", "nightly"];
    let first = there.json(&arguments).ends_with(0).value();
    let second = there.json(&arguments).ends_with(0).value();
    assert_eq!((&first["id"], &first["run_key"]), (&second["id"], &json!("nightly")));
    // Without a key each one counts.
    there.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    let listed = there.json(&["execution", "list"]).completes().value();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    server.end();
}

#[test]
fn the_first_interrupt_cancels_and_the_second_leaves() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(WAITS);
    let running = there.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || here.path("waiting").exists());
    running.signal(Signal::INT);
    let ended = running.finish();
    assert!(ended.stderr.contains("cancelling"), "{}", ended.stderr);
    ended.ends_with(130);
    let shown = there.json(&["execution", "show", "last"]).completes().value();
    assert_eq!(shown["status"], "cancelled");
    server.end();
}

#[test]
fn events_are_followed_over_a_restart_of_the_server() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(TWO_STEPS);
    there.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    let follower = there.start(&["events", "tail", "-n", "1000", "--output", "json"]);
    let count = || follower.stdout().lines().count();
    wait_until("it shows what there is", || follower.stdout().contains("ExecutionCompleted"));
    let before = count();
    let port = server.port().to_owned();
    server.end();
    let server = Served::start_at(&here, &port);
    there.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    wait_until("it goes on", || {
        follower.stdout().matches("ExecutionCompleted").count() == 2 && count() > before
    });
    follower.signal(Signal::INT);
    let text = follower.finish().stdout;
    let positions: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|event| event["position"].as_u64().expect("a position"))
        .collect();
    let first = positions.first().copied().expect("events");
    let dense: Vec<u64> = (first..).take(positions.len()).collect();
    assert_eq!(positions, dense, "each event came once, in order");
    server.end();
}

#[test]
fn a_server_that_holds_the_store_is_asked_by_verbs_beside_it() {
    let project = Project::with(TWO_STEPS);
    let server = Served::start(&project);
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
    assert!(run.stderr.contains(&server.url), "{}", run.stderr);
    project.write("data/broken", "");
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    std::fs::remove_file(project.path("data/broken")).expect("it was there");
    project.flexcore(&["execution", "retry", "last"]).ends_with(0);
    let health = project.json(&["health"]).completes().value();
    assert_eq!(health["status"], "healthy");
    server.end();
    // Nobody is asked who is gone.
    let gone = project.flexcore(&["health"]).ends_with(5);
    assert!(gone.stderr.contains("FC0780"), "{}", gone.stderr);
    project.flexcore(&["run", "pipeline.yaml"]).ends_with(0);
}

#[test]
fn what_cannot_be_asked_is_said_with_its_code() {
    let here = empty();
    let server = Served::start(&here);
    let there = server.asked_by(TWO_STEPS);
    for verb in [
        &["store", "status"][..],
        &["doctor"],
        &["sandbox", "report"],
        &["events", "export", "log.jsonl"],
        &["run", "pipeline.yaml", "--grant"],
    ] {
        let refused = there.flexcore(verb).ends_with(4);
        assert!(refused.stderr.contains("FC0784"), "{verb:?}: {}", refused.stderr);
    }
    let unknown = there.flexcore(&["execution", "show", "ex_nothing"]).ends_with(4);
    assert!(unknown.stderr.contains("FC02"), "{}", unknown.stderr);
    let with = |arguments: &[&str]| {
        let all = [arguments, &["pipeline", "list"]].concat();
        there.flexcore(&all)
    };
    let stranger = with(&["--api-key", "flx_nobody"]).ends_with(4);
    assert!(stranger.stderr.contains("FC07"), "{}", stranger.stderr);
    assert!(stranger.stderr.contains("can be seen by other users"), "{}", stranger.stderr);
    there.write("key", &server.token);
    with(&["--api-key-file", "key"]).ends_with(0);
    let absent = with(&["--api-key-file", "nowhere"]).ends_with(5);
    assert!(absent.stderr.contains("FC0505"), "{}", absent.stderr);
    let wrong = with(&["--server", "flexcore.example.org"]);
    assert!(wrong.stderr.contains("FC0783"), "{}", wrong.stderr);
    server.end();
    let gone = with(&[]).ends_with(5);
    assert!(gone.stderr.contains("FC0780"), "{}", gone.stderr);
}
