use flexcore_api::{BookmarkAddress, BookmarkView};
use flexcore_pipeline_file::{Layer, Origin, ParameterInfo};
use serde_json::{json, value::RawValue};

use super::*;
use crate::report::StreamReport;

fn entry(path: &str, value: Value, layer: Layer, line: u32) -> SettingsEntry {
    let path = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    SettingsEntry { path, value, origin: Origin { layer, file: "p.yaml".into(), line } }
}

fn step(id: &str, stage: u32, needs: &[&str]) -> StepPlan {
    StepPlan {
        id: id.to_owned(),
        kind: "command".to_owned(),
        stage,
        summary: "sh check.sh".to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        run_on: "completed",
        when: None,
        attempts: 1,
        allow_failure: false,
        timeout: None,
        settings: vec![entry("argv", json!(["sh", "check.sh"]), Layer::Step, 20)],
        variables: vec![],
        capabilities: vec![],
        limits: vec![],
        rights: None,
        sync: None,
    }
}

fn sync() -> SyncPlan {
    let address = BookmarkAddress {
        pipeline: "sales".to_owned(),
        state: "load".to_owned(),
        environment: "prod".to_owned(),
        item: None,
    };
    let state = r#"{"bookmarks":{"orders":{"id":7}}}"#.to_owned();
    SyncPlan {
        select: vec!["orders.*".to_owned(), "!*.ssn".to_owned()],
        streams: Some(vec![StreamReport {
            stream: "orders".to_owned(),
            selected: true,
            replication_method: None,
            replication_key: None,
            key: vec![],
            fields: vec![],
        }]),
        undiscovered: None,
        bookmark: Some(BookmarkView {
            bookmark: address,
            state: Some(RawValue::from_string(state).unwrap()),
            previous: None,
            execution: None,
            changed_at: Some("2026-01-01T00:00:00.000000Z".to_owned()),
            tap: None,
            target: None,
            holder: None,
        }),
    }
}

/// A plan with everything that is shown.
pub(crate) fn report() -> PlanReport {
    let load = StepPlan {
        kind: "sync".to_owned(),
        summary: "tap-csv → target-sqlite".to_owned(),
        attempts: 3,
        timeout: Some(entry("", json!("30m"), Layer::Defaults, 3)),
        settings: vec![
            entry("tap.plugin", json!("tap-csv"), Layer::Step, 9),
            entry("tap.config.files", json!(["a".repeat(40), "b".repeat(40)]), Layer::Step, 10),
            entry(
                "tap.config.url",
                json!("{{ secret('DB') }}"),
                Layer::Plugin("tap-csv".into()),
                4,
            ),
        ],
        variables: vec![entry("TZ", json!("UTC"), Layer::Defaults, 5)],
        capabilities: vec![entry("network", json!(["tcp://db:5432"]), Layer::Step, 12)],
        limits: vec![entry(
            "memory",
            json!("4GiB"),
            Layer::EnvironmentPipeline("prod".to_owned()),
            30,
        )],
        sync: Some(sync()),
        ..step("load", 1, &[])
    };
    let tell = StepPlan {
        run_on: "failed",
        when: Some("steps.load.output.records > \"0\"".to_owned()),
        allow_failure: true,
        ..step("tell", 2, &["load"])
    };
    PlanReport {
        pipeline: "sales".to_owned(),
        environment: "prod".to_owned(),
        timeout: Some(entry("", json!("2h"), Layer::Step, 2)),
        params: vec![ParameterInfo {
            name: "since".to_owned(),
            secret: false,
            required: false,
            schema: json!({ "type": "string" }),
            default: Some(json!("2026-01-01")),
        }],
        steps: vec![load, step("check", 2, &["load"]), tell],
        mermaid: String::new(),
    }
}

#[test]
fn a_plan_shows_the_graph_and_every_setting_with_its_origin() {
    insta::assert_snapshot!(plan_text(&report(), Style::PLAIN));
}

#[test]
fn an_offline_plan_says_what_it_does_not_know() {
    let sync = SyncPlan {
        streams: None,
        undiscovered: Some("the tap was not asked (--offline)".to_owned()),
        bookmark: None,
        select: vec![],
    };
    insta::assert_snapshot!(sync_text(&sync, Style::PLAIN));
}

#[test]
fn a_plan_as_json_has_every_origin() {
    insta::assert_json_snapshot!(report());
}
