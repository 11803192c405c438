//! What the verbs do with a database.

use super::Database;
use crate::project::Project;

const CHAIN: &str = "\
pipeline: chain
steps:
  - { id: s0, command: { run: \"echo 0 >> trace\" } }
";

#[test]
fn a_run_of_forty_steps_and_a_sync_of_one_record_work() {
    let steps = (1..40).map(|step| {
        let before = step - 1;
        let run = format!("command: {{ run: \"echo {step} >> trace\" }}");
        format!("  - {{ id: s{step}, needs: [s{before}], {run} }}\n")
    });
    let pipeline = CHAIN.to_owned() + &steps.collect::<String>();
    let project = Database::new().of(Project::with(&pipeline));
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    assert_eq!(project.read("trace").lines().count(), 40);
    project.write(
        "copy.yaml",
        "pipeline: copy\nsteps:\n  - { id: load, sync: { tap: { plugin: tap-csv, config: { files: \
         [{ path: rows.csv }] } }, target: { plugin: target-jsonl, config: { path: out } } } }\n",
    );
    project.write("rows.csv", "id\n1\n");
    project.flexcore(&["run", "copy.yaml"]).completes();
    assert_eq!(project.read("out/rows.jsonl"), "{\"id\":1}\n");
    let again = project.json(&["run", "copy.yaml"]).completes().value();
    assert_eq!(again["steps"][0]["records"].as_u64().unwrap_or(0), 0, "{again:#}");
    assert_eq!(project.read("out/rows.jsonl").lines().count(), 1);
    project.assert_log_verifies();
}

#[test]
fn steps_call_plugins_and_their_calls_are_in_the_database() {
    let project = Database::new().of(Project::with(
        "pipeline: p\nsteps:\n  - id: add\n    plugin:\n      name: json-transform\n      \
         config: { filter: \".x += 1\" }\n      input: [{ x: 1 }, { x: 2 }]\n",
    ));
    let view = project.json(&["run", "pipeline.yaml"]).completes().value();
    let records = &view["steps"][0]["output"]["records"]["input"];
    assert_eq!(records.to_string(), r#"[{"x":2},{"x":3}]"#, "{view:#}");
    let sandbox = view["steps"][0]["sandbox"].to_string();
    assert!(sandbox.contains("\"place\":\"jail\""), "{sandbox}");
    let call =
        ["plugin", "execute", "json-transform", "--config", "{\"filter\": \".\"}", "--input", "[]"];
    project.json(&call).completes();
    let calls = project.json(&["plugin", "calls", "json-transform"]).completes().value();
    assert_eq!(calls["items"][0]["status"], "completed", "{calls:#}");
    project.assert_log_verifies();
}

#[test]
fn every_reader_reads_a_database() {
    let project = Database::new().of(Project::with(CHAIN));
    let nothing = project.flexcore(&["execution", "show"]).ends_with(4);
    assert!(nothing.stderr.contains("FC0402"), "{nothing}");
    let empty = project.json(&["execution", "list"]).completes().value();
    assert_eq!(empty["items"].as_array().map(Vec::len), Some(0));
    assert!(!project.path(".flexcore").exists(), "readers make nothing");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    for line in [
        "execution list",
        "execution show last",
        "pipeline list",
        "pipeline show chain",
        "logs last",
        "events read",
        "events stats",
        "events tail --no-follow",
        "plan pipeline.yaml",
        "store status",
        "metrics",
        "views",
        "plugin used",
        "data-stream list",
    ] {
        project.flexcore(&line.split(' ').collect::<Vec<_>>()).completes();
    }
    let status = project.json(&["store", "status"]).completes().value();
    assert_eq!(status["kind"], "postgresql");
    assert_eq!(status["log"]["append_only_by_triggers"], true);
    assert_eq!(status["fsync"], true);
    assert_eq!(status["schema_version"], status["newest_schema_version"]);
}

#[test]
fn the_embedded_store_tells_its_files_and_its_format() {
    let project = Project::with(CHAIN);
    let nothing = project.flexcore(&["store", "status"]).ends_with(4);
    assert!(nothing.stderr.contains("FC0402"), "{nothing}");
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    let status = project.json(&["store", "status"]).completes().value();
    assert_eq!(status["kind"], "sqlite");
    assert_eq!(status["journal_mode"], "wal");
    assert!(status["writer"].is_null());
    assert_eq!(status["files"][0]["name"], "log.db");
}

#[test]
fn an_owner_migrates_and_the_application_runs_with_fewer_rights() {
    let (database, roles) = Database::with_roles();
    let mut project = Project::with(CHAIN);
    project.set("FLEXCORE_DATABASE_URL", &roles.app);
    project.keep(database.clone());
    let refused = project.flexcore(&["run", "pipeline.yaml"]);
    assert_ne!(refused.status.code(), Some(0), "{refused}");
    assert!(refused.stderr.contains("store migrate"), "{refused}");
    project.set("FLEXCORE_DATABASE_URL", &roles.owner);
    let migrated = project.flexcore(&["store", "migrate", "--app-role", &roles.app_role]);
    assert!(migrated.completes().stdout.contains("has a store now"));
    project.set("FLEXCORE_DATABASE_URL", &roles.app);
    project.flexcore(&["run", "pipeline.yaml"]).completes();
    project.assert_log_verifies();
    let status = project.json(&["store", "status"]).completes().value();
    assert_eq!(status["log"]["append_only_by_rights"], true, "{status:#}");
    let again = project.flexcore(&["store", "migrate"]);
    assert!(again.status.code() == Some(0) || again.stderr.contains("FC0410"), "{again}");
}
