//! Singer plugins that were registered, as taps of syncs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::Value;

use crate::project::Project;

const MANIFEST: &str = "manifest = 1\n[plugin]\nname = \"tap-days\"\nversion = \"1.0.0\"\n\
    kind = \"singer\"\nroles = [\"tap\"]\nentrypoint = [\"bin/tap\", \"--config\", \"{config}\"]\n\
    [config]\nschema = \"config.schema.json\"\n";

const SCHEMA: &str = r#"{"type": "object", "required": ["days"], "additionalProperties": false,
    "properties": {"days": {"type": "integer"}}}"#;

/// Reads its settings and a file that lies beside it.
const TAP: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in --discover) echo '{"streams":[{"tap_stream_id":"days","stream":"days","schema":{"type":"object"},"metadata":[]}]}'; exit 0 ;; esac
  case $1 in --config) days=$(sed 's/[^0-9]//g' "$2"); shift ;; esac
  shift
done
word=$(cat "$(dirname "$0")/../lib/word")
echo '{"type":"SCHEMA","stream":"days","key_properties":[],"schema":{"type":"object","properties":{"id":{"type":"integer"},"word":{"type":"string"}}}}'
i=0
while [ $i -lt "$days" ]; do
  i=$((i + 1))
  echo "{\"type\":\"RECORD\",\"stream\":\"days\",\"record\":{\"id\":$i,\"word\":\"$word\"}}"
done
"#;

fn project() -> Project {
    let project = Project::with(
        "pipeline: p\nsteps:\n  - { id: load, sync: { tap: tap-days, target: rows } }\n",
    );
    project.write(
        "flexcore.yaml",
        "plugins:\n  tap-days: { from: \"registered:tap-days\", config: { days: 3 } }\n  \
         rows: { inherit: target-jsonl, config: { path: out } }\n",
    );
    project.write("tap/plugin.toml", MANIFEST);
    project.write("tap/config.schema.json", SCHEMA);
    project.write("tap/lib/word", "hello");
    project.write("tap/bin/tap", TAP);
    let program = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.path("tap/bin/tap"), program).expect("it is there");
    project
}

fn error(view: &Value) -> String {
    view["steps"][0]["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_registered_tap_is_run_from_its_verified_files() {
    let project = project();
    let unknown = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    assert!(error(&unknown).contains("FC0620"), "{unknown:#}");
    let kept = project.json(&["plugin", "register", "tap"]).completes().value();
    let view = project.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(view["steps"][0]["records"], 3, "{view:#}");
    assert_eq!(project.read("out/days.jsonl").matches("hello").count(), 3);

    let digest = kept["sha256"].as_str().expect("a digest");
    let word: PathBuf = project.path(".flexcore/plugins/sha256").join(digest).join("lib/word");
    fs::set_permissions(&word, fs::Permissions::from_mode(0o644)).expect("it is there");
    fs::write(&word, "other").expect("root writes anywhere");
    let swapped = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    assert!(error(&swapped).contains("FC0669"), "{swapped:#}");
    assert_eq!(project.read("out/days.jsonl").matches("other").count(), 0);
}

#[test]
fn its_settings_are_held_against_its_schema_by_runs_and_by_a_test() {
    let project = project();
    project.json(&["plugin", "register", "tap"]).completes();
    let tried = project.json(&["plugin", "test", "tap-days"]).completes().value();
    assert_eq!(tried["passed"], true, "{tried:#}");
    let settings = project.read("flexcore.yaml").replace("days: 3", "days: many");
    project.write("flexcore.yaml", settings);
    let view = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    assert!(error(&view).contains("/days") && error(&view).contains("FC0625"), "{view:#}");
    let tried = project.json(&["plugin", "test", "tap-days"]).ends_with(1).value();
    assert!(tried["checks"][0]["detail"].to_string().contains("/days"), "{tried:#}");
}

#[test]
fn what_its_manifest_asks_for_has_to_be_granted_before_anything_runs() {
    let project = project();
    let manifest = format!("{MANIFEST}[capabilities]\nnetwork = [\"tcp://db.example.com:5432\"]\n");
    project.write("tap/plugin.toml", manifest);
    project.json(&["plugin", "register", "tap"]).completes();
    let refused = project.flexcore(&["run", "pipeline.yaml"]).ends_with(4);
    assert!(refused.stderr.contains("FC0611"), "{refused}");
    assert!(refused.stderr.contains("network = [\"tcp://db.example.com:5432\"]"), "{refused}");
    assert!(!project.path("out/days.jsonl").exists());
    project.flexcore(&["run", "pipeline.yaml", "--grant"]).completes();
}

#[test]
fn a_plugin_of_another_kind_is_no_tap() {
    let project = project();
    let manifest = MANIFEST.replace("roles = [\"tap\"]", "roles = [\"target\"]");
    project.write("tap/plugin.toml", manifest);
    project.json(&["plugin", "register", "tap"]).completes();
    let view = project.json(&["run", "pipeline.yaml"]).ends_with(1).value();
    assert!(error(&view).contains("FC0684"), "{view:#}");
}
