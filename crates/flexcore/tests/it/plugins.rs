//! Plugins: those that come with FlexCore, called by hand and by steps, and what is written down.

use serde_json::{Value, json};

use crate::project::Project;

const PIPELINE: &str = "pipeline: p\nsteps:\n  - id: add\n    plugin:\n      name: json-transform\n      \
     config: { filter: \".x += 1\" }\n      input: [{ x: 1 }, { x: 2 }]\n  \
     - id: sum\n    needs: [add]\n    plugin:\n      name: json-transform\n      \
     config: { filter: \"{ sum: (map(.x) | add) }\", over: all }\n      \
     input: \"{{ steps.add.output.records.input }}\"\n";

/// Runs `pipeline.yaml`; the exit code and the view.
fn run(project: &Project) -> (i32, Value) {
    let finished = project.json(&["run", "pipeline.yaml"]);
    let view = finished.value();
    (finished.status.code().expect("not killed"), view)
}

fn step<'a>(view: &'a Value, id: &str) -> &'a Value {
    let steps = view["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no `{id}`: {view:#}"))
}

/// A plugin that was registered from a folder: a program that ends at once instead of serving.
fn with_broken_plugin() -> Project {
    let project = Project::with("pipeline: p\nsteps:\n  - id: go\n    plugin: { name: broken }\n");
    project.write(
        "plugins/broken/plugin.toml",
        "manifest = 1\n[plugin]\nname = \"broken\"\nversion = \"0.1.0\"\nkind = \"process\"\n\
         type = \"processor\"\nentrypoint = [\"/bin/false\"]\n",
    );
    project
}

#[test]
fn steps_call_plugins_and_hand_on_what_comes_out() {
    let project = Project::with(PIPELINE);
    let (code, view) = run(&project);
    assert_eq!(code, 0, "{view:#}");
    let added = &step(&view, "add")["output"];
    assert_eq!(added["records"]["input"], json!([{ "x": 2 }, { "x": 3 }]), "{added}");
    let sum = &step(&view, "sum")["output"];
    assert_eq!(sum["records"]["output"], json!([{ "sum": 5 }]), "{sum}");
    let sandbox = step(&view, "add")["sandbox"].to_string();
    assert!(sandbox.contains("\"place\":\"jail\""), "{sandbox}");
    let used = project.json(&["plugin", "used", "--role", "plugin"]).completes().value();
    let row = used["items"].as_array().unwrap().iter().find(|row| row["name"] == "json-transform");
    let row = row.unwrap_or_else(|| panic!("{used:#}"));
    assert_eq!((&row["attempts"], &row["pipelines"]), (&json!(2), &json!(1)), "{row:#}");
}

#[test]
fn settings_that_a_plugin_does_not_take_fail_the_step_by_name() {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - id: go\n    plugin: { name: json-transform, config: { filtre: . } }\n",
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1, "{view:#}");
    let error = &step(&view, "go")["error"];
    assert_eq!(error["reason"], "refused");
    assert!(error["message"].as_str().unwrap().contains("[FC0625]"), "{error}");
}

#[test]
fn a_plugin_that_nobody_registered_is_named() {
    let project = Project::with("pipeline: p\nsteps:\n  - id: go\n    plugin: { name: nobody }\n");
    let (code, view) = run(&project);
    assert_eq!(code, 1, "{view:#}");
    let message = step(&view, "go")["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("there is no plugin `nobody`"), "{message}");
    assert!(message.contains("[FC0620]"), "{message}");
}

#[test]
fn a_call_by_hand_is_in_the_plugins_own_events() {
    let project = Project::with(PIPELINE);
    let call = project
        .json(&[
            "plugin",
            "execute",
            "json-transform",
            "--config",
            "{\"filter\": \".n *= 2\"}",
            "--input",
            "[{\"n\": 21}]",
        ])
        .completes()
        .value();
    assert_eq!(call["records"]["input"], json!([{ "n": 42 }]), "{call:#}");
    let calls = project.json(&["plugin", "calls", "json-transform"]).completes().value();
    assert_eq!(calls["items"][0]["call"], call["call"], "{calls:#}");
    assert_eq!(calls["items"][0]["status"], "completed");
    let shown = project.json(&["plugin", "show", "json-transform"]).completes().value();
    assert_eq!(shown["registered"]["calls"]["completed"], 1, "{shown:#}");
    assert_eq!(shown["registered"]["built_in"], true);
    project.json(&["plugin", "logs", "json-transform"]).completes();
    project.json(&["events", "verify"]).completes();
}

#[test]
fn a_disabled_plugin_is_not_called_until_it_is_enabled() {
    let project = Project::with(PIPELINE);
    let execute =
        ["plugin", "execute", "json-transform", "--config", "{\"filter\": \".\"}", "--input", "[]"];
    project.json(&execute).completes();
    project.json(&["plugin", "disable", "json-transform", "--reason", "wrong sums"]).completes();
    let refused = project.json(&execute);
    assert_eq!(refused.status.code(), Some(4), "{refused}");
    assert!(
        refused.stderr.contains("FC0621") && refused.stderr.contains("wrong sums"),
        "{refused}"
    );
    let (code, view) = run(&project);
    assert_eq!(code, 1, "{view:#}");
    project.json(&["plugin", "enable", "json-transform"]).completes();
    project.json(&execute).completes();
}

#[test]
fn settings_are_checked_by_the_schema_and_by_the_plugin() {
    let project = Project::with(PIPELINE);
    let schema = project.json(&["plugin", "schema", "json-transform"]).completes().value();
    assert_eq!(schema["config"]["required"], json!(["filter"]));
    let validate = |config: &str| {
        let found = project.json(&["plugin", "validate", "json-transform", "--config", config]);
        (found.status.code(), found.value())
    };
    assert_eq!(validate("{\"filter\": \".\"}").0, Some(0));
    let (code, wrong) = validate("{\"filter\": 7}");
    assert_eq!((code, &wrong["problems"][0]["pointer"]), (Some(4), &json!("/filter")), "{wrong:#}");
    let (code, wrong) = validate("{\"filter\": \".[\"}");
    assert_eq!((code, &wrong["valid"]), (Some(4), &json!(false)), "{wrong:#}");
}

#[test]
fn a_test_of_a_plugin_holds_settings_against_its_schema() {
    let project = Project::with(PIPELINE);
    let test = |config: &str| {
        let tried = project.json(&["plugin", "test", "json-transform", "--config", config]);
        (tried.status.code(), tried.value())
    };
    let (code, good) = test("{\"filter\": \".\"}");
    assert_eq!((code, &good["passed"]), (Some(0), &json!(true)), "{good:#}");
    let (code, wrong) = test("{\"filter\": 7}");
    assert_eq!((code, &wrong["passed"]), (Some(1), &json!(false)), "{wrong:#}");
    assert!(wrong["checks"][1]["detail"].to_string().contains("/filter"), "{wrong:#}");
}

#[test]
fn a_plugin_is_registered_from_its_folder_and_forgotten_again() {
    let project = with_broken_plugin();
    let registered = project.json(&["plugin", "register", "plugins/broken"]).completes().value();
    assert_eq!(registered["name"], "broken");
    assert_eq!(registered["changed"], true);
    let again = project.json(&["plugin", "register", "plugins/broken"]).completes().value();
    assert_eq!((&again["changed"], &again["sha256"]), (&json!(false), &registered["sha256"]));
    let (code, view) = run(&project);
    assert_eq!(code, 1, "{view:#}");
    let shown = project.json(&["plugin", "show", "broken"]).completes().value();
    assert_eq!(shown["failures"], 1, "{shown:#}");
    assert_eq!(shown["registered"]["status"], "registered");
    project.json(&["plugin", "unregister", "broken", "--remove-files"]).completes();
    let (_, view) = run(&project);
    let message = step(&view, "go")["error"]["message"].to_string();
    assert!(message.contains("[FC0620]"), "{message}");
}
