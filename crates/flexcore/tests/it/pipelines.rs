//! `flexcore apply` and `flexcore pipeline`: what the store knows of pipelines, and their life.

use serde_json::Value;

use crate::project::Project;

fn pipeline(name: &str, said: &str) -> String {
    format!("pipeline: {name}\nsteps:\n  - {{ id: say, command: {{ run: \"echo {said}\" }} }}\n")
}

/// A project with two pipelines.
fn two() -> Project {
    let project = Project::new();
    project.write("flexcore.yaml", "flexcore: 1\npipelines: [pipelines/*.yaml]\n");
    project.write("pipelines/orders.yaml", pipeline("orders", "one"));
    project.write("pipelines/sales.yaml", pipeline("sales", "one"));
    project
}

/// Name, what became of its definition, whether it was made active, its version.
fn applied(project: &Project, arguments: &[&str]) -> Vec<(String, String, bool, Option<u64>)> {
    let report = project.json(&[&["apply"], arguments].concat()).completes().value();
    let all = report["pipelines"].as_array().expect("a list");
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let one = |one: &Value| {
        let activated = one["activated"] == true;
        (text(one, "pipeline"), text(one, "definition"), activated, one["version"].as_u64())
    };
    all.iter().map(one).collect()
}

fn line(name: &str, definition: &str, activated: bool, version: impl Into<Option<u64>>) -> Line {
    (name.to_owned(), definition.to_owned(), activated, version.into())
}

type Line = (String, String, bool, Option<u64>);

fn status(project: &Project, pipeline: &str) -> Value {
    project.json(&["pipeline", "show", pipeline]).completes().value()["status"].clone()
}

#[test]
fn apply_registers_what_the_files_say_and_changes_nothing_twice() {
    let project = two();
    let would = applied(&project, &["--dry-run"]);
    assert_eq!(
        would,
        [line("orders", "created", true, None), line("sales", "created", true, None)]
    );
    assert!(!project.path(".flexcore").exists(), "it was only asked");
    let did = applied(&project, &[]);
    assert_eq!(did, [line("orders", "created", true, 1), line("sales", "created", true, 1)]);
    assert_eq!(status(&project, "sales"), "active");
    let events = project.events().len();
    let again = applied(&project, &[]);
    let same = [line("orders", "unchanged", false, 1), line("sales", "unchanged", false, 1)];
    assert_eq!(again, same);
    assert_eq!(project.events().len(), events);

    project.write("pipelines/orders.yaml", pipeline("orders", "two"));
    let one = applied(&project, &["pipelines/orders.yaml"]);
    assert_eq!(one, [line("orders", "updated", false, 2)]);
    let versions = project.json(&["pipeline", "versions", "orders"]).completes().value();
    assert_eq!(versions["items"][0]["version"], 2);

    std::fs::remove_file(project.path("pipelines/sales.yaml")).expect("it is there");
    let gone = line("sales", "archived", false, 1);
    let rest = line("orders", "unchanged", false, 2);
    assert_eq!(applied(&project, &[]), std::slice::from_ref(&rest), "only if it is asked for");
    assert_eq!(applied(&project, &["--prune"]), [rest.clone(), gone]);
    assert_eq!(applied(&project, &["--prune"]), [rest]);
    project.flexcore(&["pipeline", "show", "sales"]).ends_with(4);
    project.assert_log_verifies();
}

#[test]
fn apply_changes_nothing_if_one_file_is_wrong() {
    let project = two();
    project.write("pipelines/sales.yaml", "pipeline: sales\nsteps: 1\n");
    project.flexcore(&["apply"]).ends_with(3);
    assert!(!project.path(".flexcore").exists(), "nothing was made");
}

#[test]
fn a_pipeline_is_deactivated_activated_and_archived() {
    let project = two();
    project.flexcore(&["run", "orders"]).completes();
    assert_eq!(status(&project, "orders"), "draft");
    let off = project.flexcore(&["pipeline", "deactivate", "orders"]).completes();
    assert!(off.stdout.contains("is inactive"), "{off}");
    let refused = project.flexcore(&["run", "orders"]).ends_with(4);
    assert!(refused.stderr.contains("FC0210"), "{refused}");
    assert!(refused.stderr.contains("flexcore pipeline activate orders"), "{refused}");
    project.flexcore(&["pipeline", "activate", "orders"]).completes();
    project.flexcore(&["run", "orders"]).completes();
    let view = project.json(&["pipeline", "show", "orders"]).completes().value();
    let stale = ["pipeline", "archive", "orders", "--expected-version", "1"];
    let stale = project.flexcore(&stale).ends_with(4);
    assert!(stale.stderr.contains("FC0208"), "{stale}");
    project.flexcore(&["pipeline", "archive", "orders"]).completes();
    let id = view["id"].as_str().expect("an id");
    assert_eq!(status(&project, id), "archived");
    let of_orders = project.json(&["execution", "list", "--pipeline", "orders"]).completes();
    assert_eq!(of_orders.value()["items"].as_array().map(Vec::len), Some(2));
    project.flexcore(&["run", "orders"]).completes();
    let other = project.json(&["pipeline", "show", "orders"]).completes().value();
    assert_ne!(other["id"], view["id"], "the name was free");
}
