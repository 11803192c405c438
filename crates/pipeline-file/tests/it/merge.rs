//! Which value wins, and where it came from.

use flexcore_pipeline_file::{
    FullRefresh, PluginProgram, RenderedWork, ResolvedPipeline, SyncSettings, definition_of,
    resolve, same_definition,
};
use serde_json::json;

use crate::support::{environment, errors_in, load_in, project, resolved_in, scope};

const PROJECT: &str = "
plugins:
  tap-base:
    command: [./bin/tap, --verbose]
    config: { host: base, port: 1, nested: { a: 1, b: 2 }, list: [1, 2] }
    select: ['base.*']
    metadata: { '*': { replication-method: FULL_TABLE } }
    env: { LEVEL: info }
  tap-sales:
    inherit: tap-base
    config: { host: sales, nested: { b: 3 }, list: [3] }
    select+: ['!*.secret']
  warehouse: { inherit: target-sqlite, config: { path: out/prod.db, journal: wal } }
environments:
  dev:
    plugins: { warehouse: { plugin: target-jsonl, config: { folder: out/dev } } }
  prod:
    plugins:
      tap-sales: { config: { host: prod, port: null } }
      warehouse: { config: { path: /srv/prod.db } }
    pipelines:
      orders:
        timeout: 1h
        steps:
          load: { timeout: 30m, limits: { memory: 4GiB }, sync: { tap: { config: { nested: { a: 9 } } }, max_line: 1MiB } }
          go: { command: { cwd: prod, env: { MODE: prod } } }
";

const PIPELINE: &str = "
pipeline: orders
timeout: 2h
defaults: { timeout: 10m, env: { TZ: UTC, MODE: any } }
steps:
  - id: load
    limits: { memory: 1GiB, cpu: 1 }
    sync:
      tap: { plugin: tap-sales, config: { host: step, list: [4, 5] } }
      target: warehouse
      metadata: { 'orders': { replication-method: INCREMENTAL } }
  - { id: go, timeout: 5m, env: { MODE: step }, command: { argv: [x], env: { MODE: command } } }
";

fn resolved(name: &str) -> ResolvedPipeline {
    resolved_in(&project(PROJECT), PIPELINE, name)
}

fn sync(pipeline: &ResolvedPipeline) -> SyncSettings {
    match pipeline.steps[0].render(&scope()).unwrap().work {
        RenderedWork::Sync(sync) => *sync,
        RenderedWork::Command(_) | RenderedWork::Plugin(_) => panic!("a sync"),
    }
}

#[test]
fn settings_are_merged_in_the_order_of_precedence() {
    let default = sync(&resolved("default"));
    assert_eq!(
        default.tap.config,
        json!({ "host": "step", "port": 1, "nested": { "a": 1, "b": 3 }, "list": [4, 5] })
    );
    assert_eq!(default.tap.name, "tap-sales");
    assert_eq!(
        default.tap.program,
        PluginProgram::Command(vec!["./bin/tap".into(), "--verbose".into()])
    );
    assert_eq!(default.tap.environment, [("LEVEL".to_owned(), "info".to_owned())]);
    assert_eq!(default.select, ["base.*", "!*.secret"]);
    assert_eq!(default.target.program, PluginProgram::Native("target-sqlite".into()));
    assert_eq!(default.state, "load");
    assert_eq!(default.full_refresh, FullRefresh::No);
    assert_eq!(default.max_line, 16 << 20);

    let prod = sync(&resolved("prod"));
    assert_eq!(
        prod.tap.config,
        json!({ "host": "prod", "nested": { "a": 9, "b": 3 }, "list": [4, 5] })
    );
    assert_eq!(prod.target.config, json!({ "path": "/srv/prod.db", "journal": "wal" }));
    assert_eq!(prod.max_line, 1 << 20);
}

#[test]
fn metadata_rules_of_the_step_come_after_those_of_the_plugin() {
    let patterns: Vec<_> =
        sync(&resolved("default")).metadata.into_iter().map(|(pattern, _)| pattern).collect();
    assert_eq!(patterns, ["*", "orders"]);
}

#[test]
fn a_plugin_that_takes_the_place_of_another_brings_its_own_settings() {
    let dev = sync(&resolved("dev"));
    assert_eq!(dev.target.program, PluginProgram::Native("target-jsonl".into()));
    assert_eq!(dev.target.name, "target-jsonl");
    assert_eq!(dev.target.config, json!({ "folder": "out/dev" }));
}

#[test]
fn variables_and_timeouts_follow_the_same_order() {
    let rendered = |name: &str, step: usize| resolved(name).steps[step].render(&scope()).unwrap();
    let variables = |name: &str| -> Vec<String> {
        let pairs = rendered(name, 1).environment.into_iter();
        pairs.map(|(name, value)| format!("{name}={value}")).collect()
    };
    assert_eq!(variables("default"), ["MODE=command", "TZ=UTC"]);
    assert_eq!(variables("prod"), ["MODE=prod", "TZ=UTC"]);
    let minutes = |name, step| rendered(name, step).timeout.map(|timeout| timeout.as_secs() / 60);
    assert_eq!((minutes("default", 0), minutes("default", 1)), (Some(10), Some(5)));
    assert_eq!((minutes("prod", 0), minutes("prod", 1)), (Some(30), Some(5)));
    assert_eq!(resolved("prod").timeout.unwrap().value(), json!("1h"));
    assert_eq!(
        resolved("prod").steps[0].limits.as_ref().unwrap().value(),
        json!({"memory": "4GiB", "cpu": 1})
    );
}

#[test]
fn every_value_says_where_it_stands() {
    let prod = resolved("prod");
    let entries = prod.steps[0].settings.entries();
    let shown: Vec<_> = entries
        .iter()
        .map(|entry| format!("{} = {}  <- {}", entry.path.join("."), entry.value, entry.origin))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_document_needs_no_file_beside_it() {
    let document = load_in(&project(PROJECT), PIPELINE).unwrap().definition.document;
    let stored = serde_json::to_string(&document).unwrap();
    let read = serde_json::from_str(&stored).unwrap();
    let again = resolve(&read, &environment("prod")).unwrap();
    assert_eq!(sync(&again), sync(&resolved("prod")));
}

#[test]
fn a_document_gives_back_its_definition() {
    let definition = load_in(&project(PROJECT), PIPELINE).unwrap().definition;
    assert_eq!(definition_of(&definition.document).unwrap(), definition);
    for damage in ["/pipeline/content/steps/0/sync/tap", "/pipeline/content/pipeline", "/format"] {
        let mut damaged = definition.document.clone();
        *damaged.pointer_mut(damage).unwrap() = json!("?");
        assert!(definition_of(&damaged).is_err(), "{damage}");
    }
}

#[test]
fn only_what_a_pipeline_uses_makes_a_new_version() {
    let document = |project_text: &str, text: &str| {
        load_in(&project(project_text), text).unwrap().definition.document
    };
    let first = document(PROJECT, PIPELINE);
    let commented = format!("# a comment\n\n{PIPELINE}");
    assert!(same_definition(&first, &document(PROJECT, &commented)));
    assert_ne!(first, document(PROJECT, &commented), "lines moved");
    let other =
        PROJECT.replace("plugins:\n  tap-base", "plugins:\n  other: { command: [x] }\n  tap-base");
    assert!(same_definition(&first, &document(&other, PIPELINE)));
    let changed = PROJECT.replace("host: base, port: 1", "host: base, port: 2");
    assert!(!same_definition(&first, &document(&changed, PIPELINE)));
    let rewritten = PIPELINE.replace("pipeline: orders", "flexcore: 1\npipeline: 'orders'");
    assert!(same_definition(&first, &document(PROJECT, &rewritten)));
}

#[test]
fn an_unknown_environment_is_an_error() {
    let project = project(PROJECT);
    assert!(project.environment(Some("prd"), None).unwrap_err().to_string().contains("`prod`"));
    assert_eq!(project.environment(None, Some("dev")).unwrap(), environment("dev"));
    assert_eq!(project.environment(None, Some("")).unwrap(), environment("default"));
    let document = load_in(&project, PIPELINE).unwrap().definition.document;
    let error = resolve(&document, &environment("other")).unwrap_err();
    assert!(error.to_string().contains("dev, prod"), "{error}");
    assert!(resolve(&json!({}), &environment("default")).is_err());
    assert!(resolve(&json!({ "format": 99 }), &environment("default")).is_err());
}

#[test]
fn native_connectors_and_programs_need_no_project_file() {
    let text = "
pipeline: p
steps:
  - id: a
    sync:
      tap: { command: [./taps/my-tap], config: { x: 1 } }
      target: { plugin: target-csv, path: ./other }
";
    let pipeline =
        resolved_in(&flexcore_pipeline_file::Project::empty("/".into()), text, "default");
    let sync = sync(&pipeline);
    assert_eq!((sync.tap.name.as_str(), sync.target.name.as_str()), ("my-tap", "target-csv"));
    assert_eq!(sync.target.program, PluginProgram::Command(vec!["./other".into()]));
}

#[test]
fn a_project_may_give_a_native_connector_settings_under_its_own_name() {
    let project = project("plugins: { tap-csv: { config: { delimiter: ';' } } }\n");
    let text = "
pipeline: p
steps:
  - { id: a, sync: { tap: tap-csv, target: { plugin: target-csv, config: { folder: out } } } }
";
    let sync = sync(&resolved_in(&project, text, "default"));
    assert_eq!(sync.tap.program, PluginProgram::Native("tap-csv".into()));
    assert_eq!(sync.tap.config, json!({ "delimiter": ";" }));
    let wrong = text.replace("tap: tap-csv", "tap: { plugin: tap-csv, config: null, select: [] }");
    assert!(errors_in(&project, &wrong).contains("unknown key `select`"));
}

#[test]
fn the_store_may_read_the_environment() {
    let project = project(
        "store: sqlite\nenvironments: { prod: { store: \"{{ env.FLEXCORE_DATABASE_URL }}\" } }\n",
    );
    let host = |name: &str| (name == "FLEXCORE_DATABASE_URL").then(|| "postgres://x".to_owned());
    let store = |name: &str| project.store(&environment(name), &host).unwrap();
    assert_eq!(store("prod").as_deref(), Some("postgres://x"));
    assert_eq!(store("dev").as_deref(), Some("sqlite"));
    assert!(project.store(&environment("prod"), &|_| None).is_err());
}
