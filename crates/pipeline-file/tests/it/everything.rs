//! The whole language in one file: it parses, and what this version cannot run is refused by name.

use std::collections::BTreeSet;

use crate::support::{CONNECTORS, project};
use flexcore_pipeline_file::{SourceFile, parse_pipeline};

const PIPELINE: &str = include_str!("../files/everything.yaml");
const PROJECT: &str = include_str!("../files/project.yaml");

#[test]
fn the_whole_language_parses_and_what_is_not_supported_is_refused_by_name() {
    let project = project(PROJECT);
    let connectors: Vec<&str> =
        CONNECTORS.iter().copied().chain(["tap-postgres", "target-postgres"]).collect();
    let source = SourceFile::new("everything.yaml", PIPELINE);
    let errors = parse_pipeline(source, &project, &connectors).unwrap_err();
    let unexpected: Vec<_> = errors
        .iter()
        .filter(|diagnostic| !["FC0108", "FC0121"].contains(&diagnostic.code))
        .map(ToString::to_string)
        .collect();
    assert_eq!(unexpected, Vec::<String>::new());
    let named: BTreeSet<&str> = errors
        .iter()
        .filter(|diagnostic| diagnostic.code == "FC0108")
        .filter_map(|diagnostic| diagnostic.message.split('`').nth(1))
        .collect();
    let expected = [
        "approval",
        "artifacts",
        "check",
        "checkpoint",
        "concurrency",
        "dbt",
        "drift",
        "expect",
        "fail_fast",
        "for_each",
        "http",
        "item_key",
        "map",
        "max_parallel",
        "notify",
        "outputs",
        "parallel",
        "pipeline",
        "priority",
        "rejects",
        "schedules",
        "sleep",
        "triggers",
        "wait_for",
    ];
    assert_eq!(named, expected.into());
}
