use flexcore_ports::attempt::PluginSettings;
use serde_json::json;

use super::*;

const CATALOG: &str = r#"{"streams":[
    {"tap_stream_id":"orders","stream":"orders","schema":{"properties":{"id":{},"ssn":{}}},
     "metadata":[{"breadcrumb":[],"metadata":{"selected-by-default":true}}]},
    {"tap_stream_id":"logs","stream":"logs","schema":{"properties":{"id":{}}},"metadata":[]}]}"#;

fn settings(select: &[&str]) -> SyncSettings {
    let plugin = || PluginSettings {
        name: "p".to_owned(),
        argv: Vec::new(),
        config: Value::Null,
        environment: Vec::new(),
        native: false,
        folder: None,
    };
    SyncSettings {
        tap: plugin(),
        target: plugin(),
        select: select.iter().map(|pattern| (*pattern).to_owned()).collect(),
        metadata: Vec::new(),
        schema: Vec::new(),
        only_streams: Vec::new(),
        unmatched: Unmatched::Fail,
        max_line: 1024,
        state: None,
        committed_state: None,
    }
}

fn selected(catalog: &Catalog) -> Vec<&str> {
    let selected = catalog.streams.iter().filter(|stream| stream.is_selected());
    selected.map(|stream| stream.tap_stream_id.as_str()).collect()
}

fn refusal(settings: &SyncSettings) -> String {
    ruled_catalog(CATALOG.as_bytes(), settings).unwrap_err().to_string()
}

#[test]
fn a_catalog_is_needed_as_soon_as_there_is_a_rule() {
    assert!(!needs_catalog(&settings(&[])));
    assert!(needs_catalog(&settings(&["*.*"])));
    let mut only = settings(&[]);
    only.only_streams = vec!["orders".to_owned()];
    assert!(needs_catalog(&only));
}

#[test]
fn rules_choose_streams_and_set_metadata_and_schemas() {
    let mut settings = settings(&["orders.*", "!*.ssn"]);
    settings.metadata = vec![("orders".to_owned(), json!({ "replication-method": "FULL_TABLE" }))];
    settings.schema = vec![("orders".to_owned(), json!({ "id": { "type": "integer" } }))];
    let (catalog, warnings) = ruled_catalog(CATALOG.as_bytes(), &settings).unwrap();
    assert_eq!((selected(&catalog), warnings.len()), (vec!["orders"], 0));
    let orders = catalog.stream("orders").unwrap();
    assert!(!orders.is_property_selected(&["properties".to_owned(), "ssn".to_owned()]));
    let method = orders.root_metadata("replication-method").unwrap();
    assert_eq!(method.as_str(), Some("FULL_TABLE"));
    let id = orders.schema.get("properties").unwrap().get("id").unwrap();
    assert_eq!(id.get("type").unwrap().as_str(), Some("integer"));
}

#[test]
fn a_choice_of_streams_narrows_what_is_selected() {
    let mut settings = settings(&[]);
    settings.only_streams = vec!["logs".to_owned()];
    let (catalog, _) = ruled_catalog(CATALOG.as_bytes(), &settings).unwrap();
    assert_eq!(selected(&catalog), ["logs"]);
    settings.only_streams = vec!["lgos".to_owned()];
    assert!(refusal(&settings).contains("'lgos' matches nothing"));
}

#[test]
fn patterns_that_match_nothing_fail_or_warn_by_name() {
    let mut settings = settings(&["orders.*", "custmers.*", "!*.card"]);
    let refusal = refusal(&settings);
    assert!(refusal.contains("'custmers.*'") && refusal.contains("'!*.card'"), "{refusal}");
    settings.unmatched = Unmatched::Warn;
    let (catalog, warnings) = ruled_catalog(CATALOG.as_bytes(), &settings).unwrap();
    assert_eq!(selected(&catalog), ["orders"]);
    assert!(warnings[0].contains("'custmers.*'"), "{warnings:?}");
}

#[test]
fn excludes_alone_are_explained() {
    let refusal = refusal(&settings(&["!*.ssn"]));
    assert!(refusal.contains("put \"*.*\" before them"), "{refusal}");
}

#[test]
fn rules_must_be_maps() {
    let mut settings = settings(&[]);
    settings.metadata = vec![("orders".to_owned(), json!("INCREMENTAL"))];
    assert_eq!(refusal(&settings), "the metadata rule `orders` must be a map");
}

#[test]
fn log_lines_around_a_catalog_are_tolerated() {
    let text = format!("INFO connecting\n{{not this}}\n{CATALOG}\nINFO done\n");
    let (catalog, _) = ruled_catalog(text.as_bytes(), &settings(&["*.*"])).unwrap();
    assert_eq!(catalog.streams.len(), 2);
    for text in ["", "INFO nothing here", "{\"streams\":", "{}}"] {
        let error = ruled_catalog(text.as_bytes(), &settings(&[])).unwrap_err();
        assert!(error.to_string().contains("is no catalog"), "{text}");
    }
}
