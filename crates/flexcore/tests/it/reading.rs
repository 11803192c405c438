//! Verbs that show something, and `init`.

use serde_json::Value;

use crate::project::{Project, wait_until};

/// The example that `init` writes.
fn starter() -> Project {
    let project = Project::new();
    project.flexcore(&["init"]).completes();
    project
}

#[test]
fn a_starter_project_runs_as_it_is() {
    let project = starter();
    let again = project.flexcore(&["init"]).ends_with(4);
    assert!(again.stderr.contains("flexcore.yaml"), "{again}");
    let valid = project.json(&["validate"]).completes().value();
    assert_eq!(valid["valid"], true, "{valid:#}");
    project.flexcore(&["run", "cities"]).completes();
    assert_eq!(project.last_execution()["status"], "completed");
    project.flexcore(&["run", "cities"]).completes();
    project.assert_log_verifies();
    let folder = project.flexcore(&["init", "another"]).completes();
    assert!(folder.stderr.contains("cd another"), "{folder}");
    assert!(project.path("another/flexcore.yaml").exists());
}

#[test]
fn every_reader_speaks_json() {
    let project = starter();
    project.json(&["run", "cities"]).completes().value();
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    let stream = format!("default/execution/{id}");
    let step = first_sync(&project);
    let address = format!("cities/{step}");
    for arguments in [
        &["validate"][..],
        &["validate", "pipelines/cities.yaml"],
        &["plan", "cities"],
        &["plan", "cities", "--offline"],
        &["logs"],
        &["logs", "last", "--step", &step],
        &["logs", "--failed"],
        &["pipeline", "list"],
        &["pipeline", "show", "cities"],
        &["execution", "list"],
        &["execution", "show", &id],
        &["select", &address],
        &["bookmark", "show", "cities"],
        &["bookmark", "show", &address],
        &["bookmark", "diff", &address],
        &["bookmark", "export", &address],
        &["events", "read"],
        &["events", "read", "--stream", &stream],
        &["events", "verify"],
        &["events", "stats"],
        &["plugin", "list"],
        &["schema", "pipeline"],
        &["schema", "project"],
    ] {
        project.json(arguments).completes().value();
        let text = project.flexcore(arguments).completes();
        assert!(!text.stdout.is_empty() || !text.stderr.is_empty(), "{text}");
    }
}

/// The id of the sync step of the starter project.
fn first_sync(project: &Project) -> String {
    let plan = project.json(&["plan", "cities", "--offline"]).completes().value();
    let steps = plan["steps"].as_array().expect("steps");
    let sync = steps.iter().find(|step| step["kind"] == "sync").expect("a sync");
    sync["id"].as_str().expect("an id").to_owned()
}

#[test]
fn errors_are_json_where_results_are() {
    let project = starter();
    for (arguments, code) in [
        (&["execution", "show", "ex_0"][..], 4),
        (&["pipeline", "show", "nope"], 4),
        (&["bookmark", "show", "cities/nope"], 4),
        (&["run", "nope"], 3),
        (&["logs"], 4),
    ] {
        let error = project.json(arguments).ends_with(code).error();
        let error = error.as_array().map_or(&error, |list| &list[0]).clone();
        assert!(error["code"].as_str().is_some_and(|c| c.starts_with("FC0")), "{error:#}");
        assert!(error["message"].is_string(), "{error:#}");
    }
}

#[test]
fn a_plan_says_what_a_run_would_do() {
    let project = starter();
    let text = project.flexcore(&["plan", "cities"]).completes().stdout;
    assert!(text.contains("tap-csv") && text.contains("pipelines/cities.yaml:"), "{text}");
    let mermaid = project.flexcore(&["plan", "cities", "--mermaid"]).completes().stdout;
    assert!(mermaid.starts_with("flowchart"), "{mermaid}");
    assert!(!project.path(".flexcore").exists(), "a plan makes no store");
    let before = project.json(&["plan", "cities"]).completes().value();
    let sync = |plan: &Value| {
        let steps = plan["steps"].as_array().expect("steps").clone();
        steps.into_iter().find(|step| step["kind"] == "sync").expect("a sync")["sync"].clone()
    };
    assert!(sync(&before)["bookmark"]["state"].is_null());
    assert!(sync(&before)["streams"].as_array().is_some_and(|s| !s.is_empty()), "{before:#}");
    project.flexcore(&["run", "cities"]).completes();
    let after = project.json(&["plan", "cities"]).completes().value();
    assert!(sync(&after)["bookmark"]["state"].is_object(), "{after:#}");
}

#[test]
fn what_a_step_asks_for_is_shown_refused_and_granted_on_demand() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: a\n    capabilities: { network: ['tcp://db:5432'] }\n    \
         limits: { memory: 64MiB }\n    command: { argv: [\"true\"] }\n",
    );
    let plan = project.flexcore(&["plan", "pipeline.yaml"]).completes();
    assert!(plan.stdout.contains("not granted: network tcp://db:5432"), "{plan}");
    let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    let lines = "[[grant]]\npipeline = \"p\"\nstep = \"a\"\nnetwork = [\"tcp://db:5432\"]\n";
    assert!(refused.stderr.contains("FC0611") && refused.stderr.contains("step `a`"), "{refused}");
    let unindented: String =
        refused.stderr.lines().map(|line| format!("{}\n", line.trim())).collect();
    assert!(unindented.contains(lines), "{refused}");
    assert!(
        project.json(&["execution", "list"]).completes().value()["items"] == serde_json::json!([])
    );
    let granted = project.flexcore(&["run", "pipeline.yaml", "--grant"]).completes();
    assert!(granted.stderr.contains("granted, in"), "{granted}");
    assert!(project.read(".flexcore/grants.toml").ends_with(lines));
    // It counts from now on.
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let plan = project.flexcore(&["plan", "pipeline.yaml"]).completes();
    assert!(plan.stdout.contains("granted: network tcp://db:5432"), "{plan}");
}

#[test]
fn logs_follow_a_live_run_to_its_end() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: talk, command: { run: \"echo begin; touch begun; while [ ! -e go ]; do sleep 0.01; done; echo end\" } }\n",
    );
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("it runs", || project.path("begun").exists());
    let follow = project.start(&["logs", "-f"]);
    wait_until("the first line is followed", || follow.stdout().contains("begin"));
    assert!(!follow.stdout().contains("end"));
    project.write("go", "");
    running.finish().completes();
    let followed = follow.finish().completes();
    assert!(followed.stdout.contains("end"), "{followed}");
}

#[test]
fn logs_show_the_first_error_first() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: good, command: { argv: [echo, fine] } }\n  \
         - { id: early, command: { run: 'echo first trouble >&2; exit 4' } }\n  \
         - { id: late, needs: [early], run_on: ended, command: { run: 'echo second trouble >&2; exit 5' } }\n",
    );
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(1);
    assert!(run.stderr.contains("first trouble"), "{run}");
    assert!(run.stderr.contains("flexcore logs") && run.stderr.contains("retry"), "{run}");
    let failed = project.flexcore(&["logs", "--failed"]).completes().stdout;
    let place = |text: &str| failed.find(text).unwrap_or_else(|| panic!("no {text}: {failed}"));
    assert!(place("first trouble") < place("second trouble"));
    assert!(!failed.contains("fine"), "{failed}");
}

#[test]
fn events_are_read_by_stream_type_and_position() {
    let project = starter();
    project.flexcore(&["run", "cities"]).completes();
    let all = project.events();
    let positions: Vec<u64> = all.iter().map(|event| event.position).collect();
    let dense: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(positions, dense);
    let started = project.json(&["events", "read", "--type", "StepStarted"]).completes().value();
    let expected = all.iter().filter(|event| event.kind == "StepStarted").count();
    assert_eq!(started["items"].as_array().map(Vec::len), Some(expected));
    let page =
        project.json(&["events", "read", "--limit", "2", "--after", "1"]).completes().value();
    assert_eq!(page["items"][0]["position"], 2);
    assert_eq!(page["next"], 3);
    let tail = project.json(&["events", "tail", "--no-follow", "-n", "3"]).completes().stdout;
    assert_eq!(tail.lines().count(), 3);
    let stats = project.json(&["events", "stats"]).completes().value();
    assert_eq!(stats["position"], all.len());
}

#[test]
fn executions_are_listed_newest_first_in_pages() {
    let project =
        Project::with("pipeline: p\nsteps:\n  - { id: a, command: { argv: [\"true\"] } }\n");
    let mut ids: Vec<Value> = (0..5)
        .map(|_| project.json(&["run", "pipeline.yaml"]).completes().value()["id"].clone())
        .collect();
    ids.reverse();
    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut arguments = vec!["execution", "list", "--limit", "2"];
        if let Some(cursor) = &cursor {
            arguments.extend(["--after", cursor]);
        }
        let page = project.json(&arguments).completes().value();
        listed.extend(page["items"].as_array().expect("items").iter().map(|i| i["id"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(listed, ids);
}

#[test]
fn a_prefix_that_is_not_unique_is_refused() {
    let project =
        Project::with("pipeline: p\nsteps:\n  - { id: a, command: { argv: [\"true\"] } }\n");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let refused = project.flexcore(&["execution", "show", "ex_"]).ends_with(4);
    assert!(refused.stderr.contains("ex_"), "{refused}");
}

#[test]
fn a_connector_is_an_ordinary_singer_program() {
    let project = Project::new();
    project.write("rows.csv", "id,name\n1,Ana\n2,Rui\n");
    project.write("tap.json", "{\"files\":[{\"path\":\"rows.csv\"}]}");
    let plugins = project.json(&["plugin", "list"]).completes().value();
    assert!(plugins.to_string().contains("tap-csv"), "{plugins}");
    let arguments = ["plugin", "run", "tap-csv", "--", "--config", "tap.json"];
    let tap = project.flexcore(&arguments).completes();
    let kinds: Vec<String> = tap
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["type"].to_string())
        .collect();
    assert_eq!(kinds, ["\"SCHEMA\"", "\"RECORD\"", "\"RECORD\"", "\"STATE\""]);
    let discover = project.flexcore(&[&arguments[..], &["--discover"]].concat()).completes();
    assert_eq!(discover.value()["streams"][0]["tap_stream_id"], "rows");
    let unknown = project.flexcore(&["plugin", "run", "tap-cvs", "--", "--help"]);
    assert_ne!(unknown.status.code(), Some(0), "{unknown}");
}

#[test]
fn completions_are_printed_for_every_shell() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = project.flexcore(&["completions", shell]).completes().stdout;
        assert!(script.contains("flexcore"), "{shell}");
    }
}

#[test]
fn a_closed_pipe_ends_a_reader_quietly() {
    let project = starter();
    project.flexcore(&["run", "cities"]).completes();
    let script = format!("{} events read --limit 1000 | head -n 1", env!("CARGO_BIN_EXE_flexcore"));
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &script]).current_dir(project.root());
    let output = shell.output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let project = Project::new();
    let help = project.flexcore(&["--help"]).completes();
    assert!(help.stdout.contains("Exit codes") && help.stderr.is_empty(), "{help}");
    let version = project.flexcore(&["--version"]).completes();
    assert!(version.stdout.starts_with("flexcore "), "{version}");
}
