//! The dashboards and alerts in `deploy/`, held against the metrics of a live server.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{PIPELINE, metrics::page, run_once};
use crate::{project::Project, serve::Served};

pub(super) fn deploy(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(relative)
}

/// The metrics that a text names, without what histograms add to a name.
fn named(text: &str) -> BTreeSet<String> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = text.split(|character| !is_word(character));
    let ours = words.filter(|word| word.starts_with("flexcore_") || word.starts_with("process_"));
    let base = |word: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        let end = ends.into_iter().find_map(|end| word.strip_suffix(end));
        end.unwrap_or(word).to_owned()
    };
    ours.map(base).collect()
}

/// Every expression of a dashboard.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if name == "expr" || name == "query" => found.push(text.to_owned()),
                    _ => expressions(field, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| expressions(one, found)),
        _ => {}
    }
}

#[test]
fn dashboards_and_alerts_name_only_metrics_that_exist() {
    let project = Project::with(PIPELINE);
    let server = Served::start(&project, &[]);
    run_once(&project, &server);
    server.get("pipelines");
    let text = page(&server).body;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<String> =
        types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    server.end();

    let mut shown = BTreeSet::new();
    for file in fs::read_dir(deploy("grafana/dashboards")).expect("dashboards") {
        let path = file.expect("a file").path();
        let board = fs::read_to_string(&path).expect("a text");
        let board: Value = serde_json::from_str(&board).expect("a dashboard is JSON");
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), board["uid"].as_str());
        let mut all = vec![];
        expressions(&board, &mut all);
        assert!(all.len() > 5, "{}", path.display());
        for expression in all {
            let names = named(&expression);
            let unknown: Vec<_> = names.difference(&known).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?} in {expression}", path.display());
            shown.extend(names);
        }
    }
    let alerts = named(&fs::read_to_string(deploy("prometheus/alerts.yml")).expect("alerts"));
    let unknown: Vec<_> = alerts.difference(&known).collect();
    assert!(unknown.is_empty(), "alerts.yml: {unknown:?}");
    // What nobody looks at need not be counted.
    let unseen: Vec<_> = known.difference(&shown).filter(|name| !alerts.contains(*name)).collect();
    assert!(unseen.is_empty(), "on no dashboard: {unseen:?}");
}

#[test]
fn promtool_takes_the_rules_and_the_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["prometheus.yml", "alerts.yml"] {
        fs::copy(deploy("prometheus").join(file), folder.path().join(file)).expect("a copy");
    }
    fs::write(folder.path().join("flexcore.token"), "token").expect("a token");
    for (what, file) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let mut promtool = Command::new("promtool");
        let path = folder.path().join(file);
        let said = promtool.args(["check", what]).arg(&path).output();
        let said = said.expect("promtool is missing; run `make setup` first");
        let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.success(), "{file}: {words}");
    }
}
