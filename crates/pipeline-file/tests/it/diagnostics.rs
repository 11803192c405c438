//! Golden texts: what people see for each kind of mistake.

use crate::support::{errors, errors_in, project, project_errors};

fn step(body: &str) -> String {
    format!("pipeline: orders\nsteps:\n  - id: load\n{body}")
}

fn command(body: &str) -> String {
    step(&format!("    command:\n      argv: [run]\n{body}"))
}

#[test]
fn malformed_texts() {
    let texts = [
        "pipeline: orders\nsteps: [\n",
        "pipeline: orders\npipeline: again\n",
        "",
        "- a\n- b\n",
        "just text\n",
    ];
    insta::assert_snapshot!(texts.map(errors).join("\n\n"));
}

#[test]
fn a_newer_file_says_nothing_but_that() {
    insta::assert_snapshot!(errors("flexcore: 2\nfrobnicate: true\n"));
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    insta::assert_snapshot!(errors(
        "pipelin: orders
steps:
  - id: load
    need: [a]
    sync: { tpa: tap-csv, target: { plugin: target-jsonl, confg: {} } }
  - id: go
    comand: { argv: [x] }
whatever: 1
"
    ));
}

#[test]
fn wrong_types_say_what_is_taken() {
    insta::assert_snapshot!(errors(
        "pipeline: Orders
tags: sales
timeout: 30
defaults: { retry: { attempts: 0, factor: two, errors: [network, netwrok] } }
steps:
  - id: load-it
    needs: other
    run_on: success
    allow_failure: 'yes'
    timeout: 5 minutes
    limits: { memory: 4GB }
    command: { argv: [], ok_exit_codes: ['x'], env: { A: [1] } }
  - id: b
    command: run it
  - c
"
    ));
}

#[test]
fn missing_keys_are_named() {
    insta::assert_snapshot!(errors(
        "description: nothing else
steps:
  - sync: { tap: tap-csv }
  - id: b
    command: { cwd: out }
  - id: c
    command: { argv: [a], run: b, shell: sh }
  - id:
    command: { argv: [a] }
"
    ));
}

#[test]
fn a_step_has_exactly_one_kind() {
    insta::assert_snapshot!(errors(
        "pipeline: orders
steps:
  - id: none
  - { id: two, command: { argv: [a] }, sync: { tap: tap-csv, target: target-csv } }
"
    ));
}

#[test]
fn rules_of_the_graph_point_at_their_place() {
    let texts = [
        "pipeline: p
steps:
  - { id: a, needs: [c], command: { argv: [x] } }
  - { id: b, needs: [a], command: { argv: [x] } }
  - { id: c, needs: [b], command: { argv: [x] } }
",
        "pipeline: p
steps:
  - { id: a, command: { argv: [x] } }
  - { id: a, command: { argv: [x] } }
  - { id: b, needs: [a, lod], command: { argv: [x] } }
",
        "pipeline: p
steps:
  - { id: load, sync: { tap: tap-csv, target: target-csv } }
  - { id: b, when: steps.lod.output.records > 0, command: { argv: [x] } }
  - { id: c, when: steps.load.output.rows > 0, command: { argv: [x] } }
  - { id: d, when: false, command: { argv: [x] } }
",
        "pipeline: p\nsteps: []\n",
    ];
    insta::assert_snapshot!(texts.map(errors).join("\n\n"));
}

#[test]
fn unknown_plugins_name_the_nearest_one() {
    let project = project("plugins: { tap-sales: { inherit: tap-postgres }, tap-idle: {} }\n");
    let text = "pipeline: orders
steps:
  - { id: a, sync: { tap: tap-cvs, target: { plugin: warehouse } } }
  - { id: b, sync: { tap: tap-sales, target: target-csv } }
  - { id: c, sync: { tap: tap-idle, target: { config: {} } } }
";
    insta::assert_snapshot!(errors_in(&project, text));
}

#[test]
fn templates_are_checked_where_they_stand() {
    insta::assert_snapshot!(errors(&command(
        "      env:
        A: \"{{ params.sinse }}\"
        B: \"{{ run.id\"
        C: \"{% if x %}{% endif %}\"
        D: '{{ steps.loaf.output }}'
      cwd: |
        first
        {{ now() }}
    when: steps.load.output.streams.public-orders.records > 0
    timeout: \"{{ limit }}\"
"
    )));
}

#[test]
fn conditions_are_true_or_false() {
    let texts = ["1 + 1", "'x'", "\"{{ a }} or b\"", "1 / 0 > 1", "a >"]
        .map(|when| errors(&command(&format!("    when: {when}\n"))));
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn secrets_stay_out_of_what_others_see() {
    insta::assert_snapshot!(errors(
        "pipeline: orders
params:
  token: { type: string, secret: true }
  copy: { type: string, default: \"{{ params.token }}\" }
  literal: { type: string, secret: true, default: hunter2 }
  number: { type: integer, secret: true, default: \"{{ secret('N') }}\" }
steps:
  - id: a
    when: params.token == 'x'
    command:
      argv: [curl, \"{{ secret('TOKEN') }}\", \"{{ params.token }}\", \"{{ env.PASSWORD }}\"]
      env: { PASSWORD: \"{{ secret('PW') }}\" }
  - id: b
    command: { run: \"echo {{ params | tojson }} {{ secret(run.id) }}\" }
  - id: c
    sync: { tap: tap-csv, target: target-csv, full_refresh: \"{{ secret('S') }}\" }
  - id: d
    sync: { tap: tap-csv, target: target-csv, state: \"{{ run.id }}\" }
"
    ));
}

#[test]
fn parameters_are_json_schemas_with_fitting_defaults() {
    insta::assert_snapshot!(errors(&command(
        "params:
  Since: { type: string }
  kind: { type: strin }
  day: { type: string, format: date, default: tomorrow }
  count: { type: integer, default: \"many\" }
  late: { type: string, default: \"{{ params.later }}\" }
  later: { type: string, default: \"{{ steps.load.status }}\" }
  text: word
"
    )));
}

#[test]
fn a_project_file_is_checked_alike() {
    insta::assert_snapshot!(project_errors(
        "project: My Project
plugin: {}
pipelines: ['a{']
env_allow: ['A B']
store: \"{{ params.x }}\"
secrets: [{ vault: x }, { env: { prefx: A } }]
default_environment: prdo
plugins:
  a: { inherit: b }
  b: { inherit: c, config: { url: \"{{ secret('X' }}\" } }
  c: { inherit: a }
  Tap: {}
environments:
  prod:
    schedules: maybe
    pipelines:
      orders: { steps: { load: { needs: [x], comand: {} } } }
"
    ));
}

#[test]
fn a_vault_has_an_address_and_one_place_for_its_token() {
    insta::assert_snapshot!(project_errors(
        "secrets:
  - { vault: { address: 'http://vault.example.com:8200', token_env: T, token_file: t } }
  - { vault: { address: 'https://me:hunter2@vault', mont: kv } }
  - { vault: { address: 'http://localhost:8200', prefix: apps/shop } }
  - { vault: {} }
  - { vault: { address: 'vault:8200' } }
"
    ));
}

#[test]
fn what_a_pipeline_uses_of_its_project_is_checked_with_it() {
    let project = project(
        "plugins:
  tap-sales:
    inherit: tap-csv
    from: \"git+https://x\"
    python: 3.11
    config: { url: \"{{ params.nope }}\" }
  unused: { from: \"pypi:y==1\", config: { x: \"{{ params.nope }}\" } }
  warehouse: { inherit: target-sqlite, select: ['*.*'] }
environments:
  dev:
    plugins: { warehouse: { plugin: target-duck }, warehose: {} }
    pipelines:
      orders:
        steps:
          lod: { timeout: 1h }
          load: { command: { argv: [x] }, limits: { memory: \"{{ params.nah }}\" } }
",
    );
    let text = step("    sync: { tap: tap-sales, target: warehouse }\n");
    insta::assert_snapshot!(errors_in(&project, &text));
}

#[test]
fn diagnostics_are_data_too() {
    let source = flexcore_pipeline_file::SourceFile::new("p.yaml", "pipeline: p\nstep: []\n");
    let project = flexcore_pipeline_file::Project::empty("/".into());
    let errors = flexcore_pipeline_file::parse_pipeline(source, &project, &[]).unwrap_err();
    insta::assert_json_snapshot!(errors);
}
