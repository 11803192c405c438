//! Packages of the Python Package Index as plugins of a project: installed, tried out, run.

use std::{fmt::Write as _, path::Path};

use crate::project::Project;

/// A project whose tap is a real package, from wheels that `make setup` downloaded.
fn project() -> Project {
    let mut project = Project::with(
        "pipeline: days\nsteps:\n  - { id: load, sync: { tap: tap-days, target: target-rows } }\n",
    );
    project.write(
        "flexcore.yaml",
        "plugins:\n  tap-days:\n    from: \"pypi:tap-jsonl==0.3.1\"\n    \
         config: { path: 'days/*.jsonl', stream_name: rows, primary_keys: [id] }\n  \
         target-rows: { inherit: target-jsonl, config: { path: out } }\n",
    );
    let mut rows = String::new();
    for id in 0..700 {
        writeln!(rows, "{{\"id\": {id}}}").expect("room");
    }
    project.write("days/monday.jsonl", rows);
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache");
    let (python, wheels) =
        (cache.join("venvs/http-service/bin/python"), cache.join("wheels/tap-jsonl"));
    for needed in [&python, &wheels.join(".made-from")] {
        assert!(needed.exists(), "{} is missing; run `make setup` first", needed.display());
    }
    let wheels = wheels.canonicalize().expect("a folder");
    project.set("FLEXCORE_PYTHON", &python.display().to_string());
    project.set("PIP_NO_INDEX", "1");
    project.set("PIP_FIND_LINKS", &wheels.display().to_string());
    project
}

#[test]
fn a_package_that_the_project_names_is_installed_tried_out_and_run() {
    let project = project();
    let installed = project.json(&["plugin", "install"]).completes().value();
    assert_eq!(installed[0]["name"], "tap-jsonl");
    assert_eq!(installed[0]["used_by"], "tap-days");
    assert!(project.read("plugins.lock").contains("package = \"tap-jsonl\""));

    let tried = project.json(&["plugin", "test", "tap-days"]).completes().value();
    assert_eq!(tried["passed"], true, "{tried}");
    assert!(!project.path(".flexcore/log.db").exists(), "nothing was stored");

    let run = project.json(&["run", "pipeline.yaml"]).completes().value();
    assert_eq!(run["steps"][0]["records"], 700);
    assert_eq!(project.read("out/rows.jsonl").lines().count(), 700);

    // The lock makes the same plugin again.
    let again = project.json(&["plugin", "install"]).completes().value();
    assert_eq!(again[0]["sha256"], installed[0]["sha256"]);
}

#[test]
fn a_tap_that_cannot_be_used_says_why() {
    let project = Project::with("pipeline: none\nsteps: []\n");
    project.write(
        "flexcore.yaml",
        "plugins:\n  gone: { inherit: tap-csv, config: { files: [{ path: gone.csv, key: [id] }] } }\n",
    );
    let tried = project.json(&["plugin", "test", "gone"]);
    let value = tried.value();
    assert_eq!(value["passed"], false);
    assert!(
        value["checks"][0]["detail"].as_str().is_some_and(|text| text.contains("gone.csv")),
        "{value}"
    );
}

#[test]
fn folders_are_looked_through() {
    let project = Project::new();
    project.write(
        "plugins/sorter/plugin.toml",
        "manifest = 1\nplugin = { name = \"sorter\", version = \"2\", kind = \"command\", type = \"processor\", entrypoint = [\"/usr/bin/sort\"] }\n",
    );
    let found = project.json(&["plugin", "discover"]).completes().value();
    assert_eq!(found[0]["name"], "sorter");
    project.write("plugins/broken/plugin.toml", "manifest = 1\n[plugin]\nnam = 1\n");
    let found = project.json(&["plugin", "discover"]).value();
    assert!(
        found[0]["problems"].as_str().is_some_and(|text| text.contains("plugin.toml:3:1")),
        "{found}"
    );
}
