//! Syncs that go on from bookmarks, and bookmarks that people change.

use serde_json::{Value, json};

use crate::project::Project;

const PIPELINE: &str = "\
pipeline: copy
steps:
  - id: load
    sync:
      tap:
        plugin: tap-csv
        config:
          files:
            - { path: data/cities.csv, key: [id] }
            - { path: data/people.csv, key: [id] }
      target: { plugin: target-jsonl, config: { path: out } }
";

fn copy() -> Project {
    let project = Project::with(PIPELINE);
    project.write("data/cities.csv", "id,name\n1,Lisboa\n2,Porto\n");
    project.write("data/people.csv", "id,name\n1,Ana\n");
    project
}

/// Runs it; how many records were moved.
fn records(project: &Project, arguments: &[&str]) -> u64 {
    let view = project.json(&[&["run", "pipeline.yaml"], arguments].concat()).completes().value();
    view["steps"][0]["output"]["records"].as_u64().expect("a count")
}

fn state(project: &Project) -> Value {
    let view = project.json(&["bookmark", "show", "copy/load"]).completes().value();
    view["state"].clone()
}

#[test]
fn a_second_run_moves_what_is_new() {
    let project = copy();
    assert_eq!(records(&project, &[]), 3);
    assert_eq!(records(&project, &[]), 0);
    project.append("data/cities.csv", "3,Faro\n");
    assert_eq!(records(&project, &[]), 1);
    assert_eq!(
        project.read("out/cities.jsonl"),
        "{\"id\":1,\"name\":\"Lisboa\"}\n{\"id\":2,\"name\":\"Porto\"}\n{\"id\":3,\"name\":\"Faro\"}\n"
    );
}

#[test]
fn one_stream_is_moved_where_only_one_is_asked_for() {
    let project = copy();
    assert_eq!(records(&project, &["--stream", "people"]), 1);
    assert!(!project.path("out/cities.jsonl").exists());
    assert_eq!(records(&project, &[]), 2, "the other stream kept its place");
    let refused = project.json(&["run", "pipeline.yaml", "--stream", "poeple"]);
    assert_ne!(refused.status.code(), Some(0), "{refused}");
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("poeple"), "{refused}");
}

#[test]
fn a_full_refresh_leaves_bookmarks_aside() {
    let project = copy();
    assert_eq!(records(&project, &[]), 3);
    assert_eq!(records(&project, &["--full-refresh"]), 3);
    assert_eq!(records(&project, &["--full-refresh=load"]), 3);
    assert_eq!(records(&project, &["--full-refresh=load:cities"]), 2);
    assert_eq!(records(&project, &[]), 0);
    let refused = project.flexcore(&["run", "pipeline.yaml", "--full-refresh=laod"]);
    assert!(matches!(refused.status.code(), Some(3 | 4)), "{refused}");
}

#[test]
fn a_selection_moves_what_it_names() {
    let project = copy();
    let selecting = |rules: &str| {
        let rules = format!("    sync:\n      select: {rules}");
        project.write("pipeline.yaml", PIPELINE.replace("    sync:", &rules));
    };
    selecting("['cities.*', '!cities.name']");
    let report = project.json(&["select", "pipeline.yaml/load"]);
    let report =
        if report.status.success() { report } else { project.json(&["select", "copy/load"]) };
    let report = report.completes().value();
    let cities =
        report["streams"].as_array().expect("streams").iter().find(|s| s["stream"] == "cities");
    assert_eq!(cities.expect("cities")["selected"], true, "{report:#}");
    assert_eq!(records(&project, &[]), 2);
    assert_eq!(project.read("out/cities.jsonl"), "{\"id\":1}\n{\"id\":2}\n");
    selecting("['towns.*']");
    let failed = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    let message = failed["steps"][0]["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("towns.*"), "{message}");
}

#[test]
fn a_bookmark_is_shown_compared_and_reset() {
    let project = copy();
    records(&project, &[]);
    let whole = project.json(&["bookmark", "show", "copy"]).completes().value();
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(whole["items"][0]["tap"], "tap-csv");
    assert_eq!(whole["items"][0]["target"], "target-jsonl");
    let stream = project.json(&["bookmark", "show", "copy/load/cities"]).completes().value();
    assert!(stream["state"]["bookmarks"]["people"].is_null(), "{stream:#}");
    project.append("data/cities.csv", "3,Faro\n");
    records(&project, &[]);
    let diff = project.json(&["bookmark", "diff", "copy/load"]).completes().value();
    let changes = diff["changes"].as_array().expect("changes");
    assert!(!changes.is_empty() && changes.iter().all(|c| c["stream"] == "cities"), "{diff:#}");
    project.json(&["bookmark", "reset", "copy/load/cities"]).completes();
    assert!(state(&project)["bookmarks"]["cities"].is_null());
    assert_eq!(records(&project, &[]), 3, "only that stream starts over");
    project.json(&["bookmark", "reset", "copy/load"]).completes();
    assert_eq!(records(&project, &[]), 4);
}

#[test]
fn a_bookmark_travels_as_a_singer_state_file() {
    let project = copy();
    records(&project, &[]);
    project.flexcore(&["bookmark", "export", "copy/load", "state.json"]).completes();
    let exported: Value = serde_json::from_str(&project.read("state.json")).expect("a state file");
    assert_eq!(exported, state(&project));
    let printed = project.flexcore(&["bookmark", "export", "copy/load"]).completes();
    assert_eq!(printed.value(), exported);
    project.flexcore(&["bookmark", "reset", "copy/load"]).completes();
    project.flexcore(&["bookmark", "import", "copy/load", "state.json"]).completes();
    assert_eq!(state(&project), exported);
    assert_eq!(records(&project, &[]), 0);
    project.write("state.json", "no state");
    project.flexcore(&["bookmark", "import", "copy/load", "state.json"]).ends_with(4);
    assert_eq!(state(&project), exported);
}

#[test]
fn a_bookmark_is_set_by_hand() {
    let project =
        Project::with(&PIPELINE.replace("key: [id] }", "key: [id], replication_key: id }"));
    project.write("data/cities.csv", "id,name\n1,Lisboa\n2,Porto\n3,Faro\n");
    project.write("data/people.csv", "id,name\n1,Ana\n");
    assert_eq!(records(&project, &[]), 4);
    let mut changed = state(&project);
    let kept = changed.clone();
    changed["bookmarks"]["people"] = json!({});
    project.json(&["bookmark", "set", "copy/load", &changed.to_string()]).completes();
    assert_ne!(state(&project), kept);
    assert_eq!(records(&project, &[]), 1);
    assert_eq!(state(&project), kept);
}

#[test]
fn a_changed_target_is_refused_until_somebody_decides() {
    let project = copy();
    assert_eq!(records(&project, &[]), 3);
    project.write("pipeline.yaml", PIPELINE.replace("target-jsonl", "target-csv"));
    let refused = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    let message = refused["steps"][0]["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("bookmark keep") && message.contains("bookmark reset"), "{message}");
    project.flexcore(&["bookmark", "keep", "copy/load"]).completes();
    assert_eq!(records(&project, &[]), 0);
    project.write("pipeline.yaml", PIPELINE);
    project.flexcore(&["bookmark", "reset", "copy/load"]).completes();
    assert_eq!(records(&project, &[]), 3);
}

#[test]
fn an_environment_has_bookmarks_of_its_own() {
    let project = copy();
    project.write("flexcore.yaml", "environments: { dev: {}, prod: {} }\n");
    assert_eq!(records(&project, &["-e", "dev"]), 3);
    assert_eq!(records(&project, &["-e", "prod"]), 3);
    assert_eq!(records(&project, &["-e", "dev"]), 0);
}

#[test]
fn an_empty_state_and_one_that_goes_back_do_not_replace_a_bookmark() {
    let project = Project::with(
        "pipeline: odd\nsteps:\n  - id: load\n    sync:\n      tap: { command: [sh, tap.sh] }\n      \
         target: { command: [sh, target.sh] }\n",
    );
    // A target that confirms what the tap tells it to.
    project.write("tap.sh", "cat states | sed 's/.*/{\"type\":\"STATE\",\"value\":&}/'\n");
    project.write("target.sh", "sed -n 's/^{\"type\":\"STATE\",\"value\":\\(.*\\)}$/\\1/p'\n");
    let shown = || {
        let view = project.json(&["bookmark", "show", "odd/load"]).completes().value();
        view["state"]["bookmarks"].clone()
    };
    let run = |states: &str| {
        project.write("states", states);
        project.flexcore(&["run", "pipeline.yaml"])
    };
    run("{\"bookmarks\":{\"a\":{\"id\":5},\"b\":{\"id\":1}}}\n").completes();
    run("{\"bookmarks\":{\"a\":{\"id\":6}}}\n").completes();
    assert_eq!(shown(), json!({ "a": { "id": 6 }, "b": { "id": 1 } }), "merged per stream");
    run("{}\n");
    assert_eq!(shown(), json!({ "a": { "id": 6 }, "b": { "id": 1 } }), "an empty state");
    run("{\"bookmarks\":{\"a\":{\"id\":2}}}\n");
    assert_eq!(shown(), json!({ "a": { "id": 6 }, "b": { "id": 1 } }), "a state that goes back");
    let refused = project.events().into_iter().filter(|event| event.kind == "BookmarkRefused");
    assert_eq!(refused.count(), 2);
}
