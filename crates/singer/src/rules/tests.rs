use super::*;

fn catalog() -> Catalog {
    Catalog::parse(
        r#"{"streams":[
        {"tap_stream_id":"public-orders","schema":{"type":"object","properties":{
            "id":{"type":"integer"},"total":{"type":"number"},
            "buyer":{"type":"object","properties":{"name":{"type":"string"},"ssn":{"type":"string"}}}}},
         "metadata":[{"breadcrumb":[],"metadata":{"table-key-properties":["id"]}},
                     {"breadcrumb":["properties","id"],"metadata":{"inclusion":"automatic"}}]},
        {"tap_stream_id":"public-people","schema":{"properties":{"id":{},"ssn":{}}},"metadata":[]},
        {"tap_stream_id":"odd.name","schema":{"properties":{"a.b":{},"c":{}}}}]}"#,
    )
    .unwrap()
}

fn selected(select: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut catalog = catalog();
    let rules = CatalogRules {
        select: select.iter().map(|pattern| SelectPattern::parse(pattern)).collect(),
        ..CatalogRules::default()
    };
    let unmatched = catalog.apply(&rules);
    let chosen = catalog
        .selected_streams()
        .flat_map(|stream| {
            stream
                .property_breadcrumbs()
                .into_iter()
                .filter(|breadcrumb| stream.is_property_selected(breadcrumb))
                .map(|breadcrumb| {
                    let path: Vec<_> =
                        breadcrumb.into_iter().filter(|part| part != "properties").collect();
                    format!("{}/{}", stream.tap_stream_id, path.join("."))
                })
        })
        .collect();
    (chosen, unmatched.iter().map(ToString::to_string).collect())
}

#[test]
fn no_patterns_select_everything() {
    assert_eq!(selected(&[]).0.len(), 9);
}

#[test]
fn excludes_win_whatever_the_order() {
    let expected = ["public-orders/id", "public-orders/total", "public-orders/buyer"];
    let (chosen, unmatched) = selected(&["!public-orders.buyer.*", "public-orders.*"]);
    assert_eq!(chosen, expected);
    assert_eq!(unmatched, Vec::<String>::new());
    assert_eq!(selected(&["public-orders.*", "!public-orders.buyer.*"]).0, expected);
}

#[test]
fn a_star_reaches_nested_properties_as_fnmatch_does() {
    let (chosen, _) = selected(&["public-*.*", "!*.*ssn"]);
    assert!(!chosen.iter().any(|path| path.contains("ssn")), "{chosen:?}");
    assert!(chosen.contains(&"public-orders/buyer.name".to_owned()));
}

#[test]
fn a_stream_alone_stands_for_all_of_it() {
    assert_eq!(selected(&["public-people"]).0, ["public-people/id", "public-people/ssn"]);
    assert_eq!(selected(&["*", "!public-*", "!odd\\.name"]).0, Vec::<String>::new());
}

#[test]
fn a_nested_property_selects_its_parents_and_automatic_ones_come_along() {
    assert_eq!(
        selected(&["public-orders.buyer.name"]).0,
        ["public-orders/id", "public-orders/buyer", "public-orders/buyer.name"]
    );
}

#[test]
fn only_excludes_select_nothing() {
    assert_eq!(selected(&["!*.ssn"]).0, Vec::<String>::new());
}

#[test]
fn escaped_dots_belong_to_names() {
    assert_eq!(selected(&[r"odd\.name.a\.b"]).0, ["odd.name/a.b"]);
}

#[test]
fn patterns_that_match_nothing_are_named() {
    let (_, unmatched) = selected(&["public-orders.*", "nope.*", "public-orders.nope", "!x"]);
    assert_eq!(
        unmatched,
        [
            "select pattern 'nope.*' matches nothing in the catalog",
            "select pattern 'public-orders.nope' matches nothing in the catalog",
            "select pattern '!x' matches nothing in the catalog",
        ]
    );
}

fn object(text: &str) -> Object {
    Json::parse_object(text).unwrap()
}

#[test]
fn the_last_metadata_rule_wins_and_legacy_places_follow() {
    let mut catalog = catalog();
    let rules = CatalogRules {
        metadata: vec![
            MetadataRule::new("public-*", object(r#"{"replication-method":"FULL_TABLE"}"#)),
            MetadataRule::new(
                "public-orders",
                object(r#"{"replication-method":"INCREMENTAL","replication-key":"id"}"#),
            ),
            MetadataRule::new("public-orders.total", object(r#"{"sql-datatype":"numeric"}"#)),
            MetadataRule::new("*.nope", object(r#"{"x":1}"#)),
        ],
        ..CatalogRules::default()
    };
    let unmatched = catalog.apply(&rules);
    let orders = catalog.stream("public-orders").unwrap();
    assert_eq!(orders.root_metadata("replication-method"), Some(&"INCREMENTAL".into()));
    assert_eq!(orders.rest.get("replication_key"), Some(&"id".into()));
    assert_eq!(
        orders.metadata_at(&["properties".into(), "total".into()]).unwrap().get("sql-datatype"),
        Some(&"numeric".into())
    );
    let people = catalog.stream("public-people").unwrap();
    assert_eq!(people.root_metadata("replication-method"), Some(&"FULL_TABLE".into()));
    assert_eq!(unmatched.len(), 1);
    assert_eq!(unmatched[0].place, RulePlace::Metadata);
}

#[test]
fn schema_rules_merge_into_properties_and_add_missing_ones() {
    let mut catalog = catalog();
    let rules = CatalogRules {
        schema: vec![SchemaRule::new(
            "public-orders",
            object(r#"{"total":{"type":["number","null"]},"extra":{"type":"string"}}"#),
        )],
        ..CatalogRules::default()
    };
    assert_eq!(catalog.apply(&rules), []);
    let schema = &catalog.stream("public-orders").unwrap().schema;
    let total = schema.get("properties").unwrap().get("total").unwrap();
    assert_eq!(total.get("type").unwrap().to_string(), r#"["number","null"]"#);
    assert!(schema.get("properties").unwrap().get("extra").is_some());
}

#[test]
fn one_run_can_be_limited_to_some_streams() {
    let mut catalog = catalog();
    let rules = CatalogRules {
        only_streams: vec![Glob::new("public-people"), Glob::new("gone")],
        ..CatalogRules::default()
    };
    let unmatched = catalog.apply(&rules);
    let names: Vec<_> =
        catalog.selected_streams().map(|stream| stream.tap_stream_id.as_str()).collect();
    assert_eq!(names, ["public-people"]);
    assert_eq!(unmatched[0].pattern, "gone");
}

#[test]
fn the_choice_stands_in_the_legacy_flags_too() {
    let mut catalog = catalog();
    let rules = CatalogRules {
        select: vec![SelectPattern::parse("public-people.id")],
        ..CatalogRules::default()
    };
    catalog.apply(&rules);
    let flags = |id: &str| {
        let stream = catalog.stream(id).unwrap();
        (stream.rest.get("selected").cloned(), stream.schema.get("selected").cloned())
    };
    let (yes, no) = (Some(Json::Bool(true)), Some(Json::Bool(false)));
    assert_eq!(flags("public-people"), (yes.clone(), yes));
    assert_eq!(flags("public-orders"), (no.clone(), no.clone()));
    let people = catalog.stream("public-people").unwrap();
    let ssn = people.schema.get("properties").unwrap().get("ssn").unwrap();
    assert_eq!(ssn.get("selected").cloned(), no);
}
