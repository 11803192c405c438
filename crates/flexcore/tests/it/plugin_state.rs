//! What a plugin keeps between runs.

use serde_json::{Value, json};

use crate::project::Project;

/// Answers what it was given at its last completed call, and keeps what it is given now.
const MODULE: &str = r#"(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "execute") (result i32)
    (local $key i64) (local $before i64)
    (local.set $key (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $key) (i32.const 107))
    (local.set $before (call $var_get (local.get $key)))
    (call $var_set (local.get $key) (call $input_offset))
    (call $output_set (local.get $before) (call $length (local.get $before)))
    (i32.const 0)))"#;

const MANIFEST: &str = "manifest = 1\n[plugin]\nname = \"memory\"\nversion = \"1.0.0\"\n\
    kind = \"wasm-extism\"\ntype = \"processor\"\nentrypoint = [\"memory.wasm\"]\n";

const PIPELINE: &str = "pipeline: p\nparams: { n: { type: integer } }\nsteps:\n  - id: keep\n    \
    plugin: { name: memory, input: { n: \"{{ params.n }}\" } }\n";

fn project(pipeline: &str) -> Project {
    let project = Project::with(pipeline);
    project.write("plugins/memory/plugin.toml", MANIFEST);
    project.write("plugins/memory/memory.wasm", wat::parse_str(MODULE).expect("a module"));
    project.json(&["plugin", "register", "plugins/memory"]).completes();
    project
}

fn answer(project: &Project, arguments: &[&str]) -> Value {
    let view = project.json(&[&["run", "pipeline.yaml"], arguments].concat()).completes().value();
    view["steps"][0]["output"]["result"].clone()
}

#[test]
fn what_a_plugin_keeps_is_there_in_the_next_run_unless_that_starts_over() {
    let project = project(PIPELINE);
    assert_eq!(answer(&project, &["--param", "n=1"]), Value::Null);
    assert_eq!(answer(&project, &["--param", "n=2"]), json!({ "n": 1 }));
    assert_eq!(answer(&project, &["--param", "n=3", "--full-refresh"]), Value::Null);
    assert_eq!(answer(&project, &["--param", "n=4"]), json!({ "n": 3 }));
    project.assert_log_verifies();
}

#[test]
fn a_plugin_that_would_keep_a_secret_fails_and_keeps_nothing() {
    let mut project = project(
        "pipeline: p\nsteps:\n  - id: keep\n    \
         plugin: { name: memory, input: { token: \"{{ secret('TOKEN') }}\" } }\n",
    );
    project.set("FLEXCORE_SECRET_TOKEN", "correct-horse-battery");
    let refused = project.json(&["run", "pipeline.yaml"]).ends_with(1);
    assert!(refused.stdout.contains("FC0683"), "{refused}");
    let log = project.json(&["events", "read", "--limit", "1000"]).completes();
    assert!(!log.stdout.contains("correct-horse"), "{log}");
}
