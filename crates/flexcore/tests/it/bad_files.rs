//! Pipeline and project files that are wrong: a clear error at its place, exit code 3, nothing
//! recorded.

use insta::assert_snapshot;

use crate::project::{Project, redact};

/// Runs a pipeline that must be refused before anything happens; what is said about it.
#[track_caller]
fn refused(pipeline: &str) -> String {
    refused_in(&Project::with(pipeline))
}

#[track_caller]
fn refused_in(project: &Project) -> String {
    let checked = project.flexcore(&["validate", "pipeline.yaml"]).ends_with(3);
    let run = project.flexcore(&["run", "pipeline.yaml"]).ends_with(3);
    assert_eq!(run.stdout, "", "{run}");
    assert!(!project.path(".flexcore").exists(), "a refused run leaves no store");
    let json = project.json(&["run", "pipeline.yaml"]).ends_with(3);
    let listed = json.error();
    let first = listed.as_array().map_or(&listed, |list| &list[0]);
    assert!(first["code"].as_str().is_some_and(|code| code.starts_with("FC01")), "{json}");
    assert!(first["line"].as_u64().is_some(), "{json}");
    assert!(checked.stderr.contains(run.stderr.trim()), "{checked}{run}");
    redact(project, &run.stderr)
}

#[test]
fn malformed_yaml_is_shown_at_its_place() {
    assert_snapshot!(refused("pipeline: orders\nsteps:\n  - id: a\n   command: { argv: [x] }\n"));
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: a, comand: { argv: [\"true\"] } }\n"
    ));
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - id: a\n    command: { argv: [\"true\"] }\n    id: b\n"
    ));
}

#[test]
fn steps_that_need_each_other_are_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: a, needs: [b], command: { argv: [\"true\"] } }\n  \
         - { id: b, needs: [a], command: { argv: [\"true\"] } }\n"
    ));
}

#[test]
fn a_need_that_does_not_exist_is_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: load, command: { argv: [\"true\"] } }\n  \
         - { id: b, needs: [laod], command: { argv: [\"true\"] } }\n"
    ));
}

#[test]
fn a_plugin_that_does_not_exist_is_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: a, sync: { tap: tap-cvs, target: target-jsonl } }\n"
    ));
}

#[test]
fn a_kind_of_step_that_has_not_landed_is_refused_by_name() {
    assert_snapshot!(refused("pipeline: orders\nsteps:\n  - { id: a, sleep: 5m }\n"));
}

#[test]
fn a_step_without_a_kind_and_one_with_two_are_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: a }\n  \
         - { id: b, command: { argv: [x] }, sync: { tap: tap-csv, target: target-csv } }\n"
    ));
}

#[test]
fn a_template_name_that_does_not_exist_is_refused() {
    assert_snapshot!(refused(
        "pipeline: orders\nsteps:\n  - { id: a, command: { argv: [echo, \"{{ parms.x }}\"] } }\n  \
         - { id: b, command: { argv: [echo, \"{{ params.nope }}\", \"{{ steps.c.output }}\"] } }\n"
    ));
}

#[test]
fn a_file_for_a_newer_version_is_refused() {
    assert_snapshot!(refused(
        "flexcore: 2\npipeline: orders\nsteps:\n  - { id: a, command: { argv: [x] } }\n"
    ));
}

#[test]
fn a_project_file_that_is_wrong_is_refused_at_its_place() {
    let project =
        Project::with("pipeline: orders\nsteps:\n  - { id: a, command: { argv: [x] } }\n");
    project.write("flexcore.yaml", "flexcore: 1\nplugin:\n  tap-a: { inherit: tap-csv }\n");
    assert_snapshot!(refused_in(&project));
}

#[test]
fn a_file_that_is_not_there_and_a_name_that_nobody_has_are_refused() {
    let project =
        Project::with("pipeline: orders\nsteps:\n  - { id: a, command: { argv: [x] } }\n");
    project.write("flexcore.yaml", "pipelines: [pipeline.yaml]\n");
    let file = project.flexcore(&["run", "nothing.yaml"]).ends_with(3);
    let name = project.flexcore(&["run", "oders"]).ends_with(3);
    assert!(!project.path(".flexcore").exists());
    assert_snapshot!(redact(&project, &format!("{}\n{}", file.stderr, name.stderr)));
}

#[test]
fn wrong_arguments_are_refused_with_their_own_exit_code() {
    let project = Project::new();
    project.flexcore(&["run"]).ends_with(2);
    project.flexcore(&["run", "x.yaml", "--only", "a", "--from", "b"]).ends_with(2);
    project.flexcore(&["frobnicate"]).ends_with(2);
    let error = project.json(&["run"]).ends_with(2).error();
    assert_eq!(error["code"], "FC0501");
}
