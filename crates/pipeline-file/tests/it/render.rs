//! Templates to values.

use std::{collections::BTreeMap, time::Duration};

use flexcore_pipeline_file::{
    CommandProgram, CommandSettings, FullRefresh, RenderedStep, RenderedWork, ResolvedPipeline,
    Scope, Shell, StepScope, Unmatched,
};
use serde_json::{Value, json};

use crate::support::{project, resolved, resolved_in, scope};

const PIPELINE: &str = "
pipeline: orders
params:
  files: { type: array, default: [{ path: a.csv }] }
  full: { type: boolean, default: false }
  token: { type: string, secret: true, default: \"{{ secret('TOKEN') }}\" }
  wait: { type: string, default: 90s }
defaults: { env: { TZ: UTC } }
steps:
  - id: load
    timeout: \"{{ params.wait }}\"
    sync:
      tap:
        plugin: tap-csv
        config: { files: \"{{ params.files }}\", url: \"db://{{ secret('DB') }}@host\", n: 1 }
        env: { PGPASSWORD: \"{{ params.token }}\" }
      target: { plugin: target-csv, config: { folder: \"out/{{ run.interval.start | date }}\" } }
      full_refresh: \"{{ params.full }}\"
      select: [\"{{ run.pipeline }}.*\"]
      max_line: 1GiB
      unmatched: warn
  - id: check
    needs: [load]
    when: steps.load.output.records > 0 and env.TZ == 'UTC'
    command:
      argv: [check, \"{{ steps.load.output.streams['public-orders'].records }}\", 5, true]
      cwd: scripts
      env: { REGION: \"{{ env.HOME_REGION }}\", AWS_PROFILE: null, NOT_SET: null, N: 1.50 }
      ok_exit_codes: [0, 3]
  - id: script
    command: { run: \"echo ${#x[@]} {{ run.attempt }}\\n\", shell: sh }
";

fn pipeline() -> ResolvedPipeline {
    resolved_in(&project("env_allow: [HOME_REGION]\n"), PIPELINE, "default")
}

fn full_scope(pipeline: &ResolvedPipeline) -> Scope<'static> {
    let output = json!({ "records": 7, "streams": { "public-orders": { "records": 7 } } });
    let load = StepScope {
        status: Some("completed".into()),
        output: Some(output),
        error: None,
        attempts: 1,
    };
    Scope {
        params: pipeline.parameters.bind(&BTreeMap::new(), &scope()).unwrap(),
        steps: [("load".to_owned(), load)].into(),
        ..scope()
    }
}

fn rendered(index: usize) -> RenderedStep {
    let pipeline = pipeline();
    pipeline.steps[index].render(&full_scope(&pipeline)).unwrap()
}

#[test]
fn a_sync_is_rendered_with_its_types() {
    let step = rendered(0);
    assert_eq!(step.timeout, Some(Duration::from_secs(90)));
    assert_eq!(step.environment, [("TZ".to_owned(), "UTC".to_owned())]);
    let RenderedWork::Sync(sync) = step.work else { panic!("a sync") };
    assert_eq!(
        sync.tap.config,
        json!({ "files": [{ "path": "a.csv" }], "url": "db://value of DB@host", "n": 1 })
    );
    assert_eq!(sync.tap.environment, [("PGPASSWORD".to_owned(), "value of TOKEN".to_owned())]);
    assert_eq!(sync.target.config, json!({ "folder": "out/2026-01-31" }));
    assert_eq!((sync.select, sync.full_refresh), (vec!["orders.*".to_owned()], FullRefresh::No));
    assert_eq!((sync.max_line, sync.unmatched), (1 << 30, Unmatched::Warn));
    assert!(!format!("{:?}", sync.tap).contains("value of"), "secrets stay out of Debug");
}

#[test]
fn a_command_is_rendered_with_its_variables() {
    let step = rendered(1);
    let RenderedWork::Command(command) = step.work else { panic!("a command") };
    let argv = ["check", "7", "5", "true"].map(str::to_owned).to_vec();
    let expected = CommandSettings {
        program: CommandProgram::Argv(argv),
        cwd: Some("scripts".into()),
        ok_exit_codes: vec![0, 3],
    };
    assert_eq!(command, expected);
    let variables: Vec<_> =
        step.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(variables, ["AWS_PROFILE=work", "N=1.50", "REGION=eu", "TZ=UTC"]);
}

#[test]
fn a_script_keeps_what_the_shell_means() {
    let RenderedWork::Command(command) = rendered(2).work else { panic!("a command") };
    let script = "echo ${#x[@]} 2\n".to_owned();
    assert_eq!(command.program, CommandProgram::Script { script, shell: Shell::Sh });
    assert_eq!(command.ok_exit_codes, [0]);
}

#[test]
fn what_a_step_reads_is_known_beforehand() {
    let pipeline = pipeline();
    let params = full_scope(&pipeline).params;
    assert_eq!(pipeline.steps[0].secret_names(&params), ["DB", "TOKEN"]);
    assert_eq!(pipeline.steps[0].steps_read(), Vec::<String>::new());
    assert_eq!(pipeline.steps[1].secret_names(&params), Vec::<String>::new());
    assert_eq!(pipeline.steps[1].steps_read(), ["load"]);
}

#[test]
fn a_condition_is_evaluated_once_its_needs_ended() {
    let pipeline = pipeline();
    let mut scope = full_scope(&pipeline);
    assert!(pipeline.steps[1].evaluate_when(&scope).unwrap());
    assert!(pipeline.steps[0].evaluate_when(&scope).unwrap(), "no condition holds");
    scope.steps.get_mut("load").unwrap().output = Some(json!({ "records": 0 }));
    assert!(!pipeline.steps[1].evaluate_when(&scope).unwrap());
    scope.steps.get_mut("load").unwrap().output = Some(json!({}));
    let error = pipeline.steps[1].evaluate_when(&scope).unwrap_err().to_string();
    assert!(
        error.starts_with("orders.yaml:24: `steps.load.output.records` is undefined"),
        "{error}"
    );
}

#[test]
fn a_condition_that_is_neither_true_nor_false_is_an_error() {
    let pipeline =
        resolved("pipeline: p\nsteps:\n  - { id: a, when: run.id, command: { argv: [x] } }\n");
    let error = pipeline.steps[0].evaluate_when(&scope()).unwrap_err().to_string();
    assert!(error.contains("this is a text in `run.id`"), "{error}");
}

#[test]
fn what_is_undefined_names_file_line_key_and_expression() {
    let pipeline = pipeline();
    let mut scope = full_scope(&pipeline);
    scope.steps.get_mut("load").unwrap().output = Some(json!({ "streams": {} }));
    let error = pipeline.steps[1].render(&scope).unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn a_step_that_has_not_ended_has_no_output() {
    let pipeline = pipeline();
    let scope = Scope { steps: BTreeMap::new(), ..full_scope(&pipeline) };
    let error = pipeline.steps[1].render(&scope).unwrap_err().to_string();
    assert!(error.contains("is undefined"), "{error}");
}

fn render_error(settings: &str, params: Value) -> String {
    let text = format!(
        "pipeline: p\nparams: {{ v: {{ default: null }} }}\nsteps:\n  - id: a\n    {settings}\n"
    );
    let pipeline = resolved(&text);
    let scope = Scope { params: [("v".to_owned(), params)].into(), ..scope() };
    pipeline.steps[0].render(&scope).unwrap_err().to_string()
}

#[test]
fn a_rendered_value_of_the_wrong_type_names_step_and_key() {
    let sync = |settings: &str| {
        format!("sync: {{ tap: tap-csv, target: target-csv, {settings}: \"{{{{ params.v }}}}\" }}")
    };
    let shown = [
        render_error("command: { argv: [a, \"{{ params.v }}\"] }", json!([1])),
        render_error("command: { run: \"{{ params.v }}\" }", json!(null)),
        render_error("command: { argv: [a], ok_exit_codes: \"{{ params.v }}\" }", json!(["x"])),
        render_error(&sync("max_line"), json!("2GiB")),
        render_error(&sync("unmatched"), json!("maybe")),
        render_error(&sync("full_refresh"), json!("yes")),
        render_error("timeout: \"{{ params.v }}\"\n    command: { argv: [a] }", json!(5)),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_execution_has_a_timeout_of_its_own() {
    let text = |timeout: &str| {
        format!(
            "pipeline: p\nparams: {{ wait: {{ type: string, default: 2h }} }}\ntimeout: {timeout}\n\
             steps: [{{ id: a, command: {{ argv: [x] }} }}]\n"
        )
    };
    let rendered = |timeout: &str, wait: &str| {
        let params = [("wait".to_owned(), json!(wait))].into();
        let scope = Scope { params, ..scope() };
        resolved(&text(timeout)).render_timeout(&scope).map_err(|error| error.to_string())
    };
    assert_eq!(rendered("90m", "").unwrap(), Some(Duration::from_mins(90)));
    assert_eq!(rendered("\"{{ params.wait }}\"", "2h").unwrap(), Some(Duration::from_hours(2)));
    assert_eq!(rendered("null", "").unwrap(), None);
    let error = rendered("\"{{ params.wait }}\"", "soon").unwrap_err();
    assert!(error.starts_with("`timeout` of pipeline `p` takes a duration"), "{error}");
}

#[test]
fn a_missing_secret_keeps_the_step_from_starting() {
    let pipeline = resolved(
        "pipeline: p\nsteps:\n  - { id: a, command: { argv: [x], env: { A: \"{{ secret('NO') }}\" } } }\n",
    );
    let error = pipeline.steps[0].render(&scope()).unwrap_err().to_string();
    assert_eq!(error, "step `a` cannot start: secret `NO` is not set");
}
