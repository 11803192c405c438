//! Parameters: what is given, what is refused, what stands in for it.

use std::collections::BTreeMap;

use flexcore_pipeline_file::{ParameterInput, Parameters};
use serde_json::{Value, json};

use crate::support::{project, resolved_in, scope};

fn parameters() -> Parameters {
    let text = "
pipeline: p
params:
  day: { type: string, format: date, default: '2026-01-01' }
  next: { type: string, default: \"{{ params.day | add_duration('1d') }}\" }
  region: { default: \"{{ env.HOME_REGION }}\" }
  count: { type: integer, minimum: 1, default: 5 }
  ratio: { type: number, default: 0.5 }
  full: { type: boolean, default: false }
  streams: { type: array, items: { type: string }, default: [] }
  kind: { enum: [a, b], default: a }
  maybe: { type: [integer, 'null'], default: null }
  any: { default: x }
  token: { type: string, secret: true, default: \"{{ secret('TOKEN') }}\" }
  needed: { type: string }
steps: [{ id: a, command: { argv: [x] } }]
";
    resolved_in(&project("env_allow: [HOME_REGION]\n"), text, "default").parameters
}

fn bind(given: &[(&str, &str)]) -> Result<BTreeMap<String, Value>, String> {
    let mut all: BTreeMap<String, ParameterInput> =
        [("needed".to_owned(), ParameterInput::Text("x".into()))].into();
    all.extend(
        given
            .iter()
            .map(|(name, text)| ((*name).to_owned(), ParameterInput::Text((*text).to_owned()))),
    );
    all.retain(|_, value| *value != ParameterInput::Text("<absent>".into()));
    parameters().bind(&all, &scope()).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_evaluated_in_order() {
    let bound = bind(&[("day", "2026-02-28")]).unwrap();
    assert_eq!(bound["next"], json!("2026-03-01"));
    assert_eq!(bound["region"], json!("eu"));
    assert_eq!(bound["count"], json!(5));
    assert_eq!(bound["token"], json!("@secret:TOKEN"), "a reference, never the value");
}

#[test]
fn a_text_is_read_as_the_type_that_the_schema_asks_for() {
    let bound = bind(&[
        ("count", "7"),
        ("ratio", "2"),
        ("full", "true"),
        ("streams", "[\"a\", \"b\"]"),
        ("kind", "b"),
        ("maybe", "3"),
        ("any", "{\"k\": 1}"),
        ("needed", "7"),
        ("token", "@secret:OTHER"),
    ])
    .unwrap();
    assert_eq!(bound["count"], json!(7));
    assert_eq!(bound["ratio"], json!(2));
    assert_eq!(bound["full"], json!(true));
    assert_eq!(bound["streams"], json!(["a", "b"]));
    assert_eq!((&bound["kind"], &bound["maybe"]), (&json!("b"), &json!(3)));
    assert_eq!(bound["any"], json!({ "k": 1 }));
    assert_eq!(bound["needed"], json!("7"));
    assert_eq!(bound["token"], json!("@secret:OTHER"));
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let wrong = [
        ("day", "tomorrow"),
        ("count", "0"),
        ("count", "many"),
        ("full", "yes"),
        ("streams", "a,b"),
        ("kind", "c"),
        ("token", "hunter2"),
        ("token", "@secret:"),
        ("nope", "1"),
        ("needed", "<absent>"),
    ];
    let shown = wrong.map(|given| bind(&[given]).unwrap_err());
    assert!(!shown.join("").contains("hunter2"));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn parameters_are_listed_in_the_order_of_the_file() {
    let list = parameters().list();
    assert_eq!(list.first().map(|info| info.name.as_str()), Some("day"));
    let needed = list.last().unwrap();
    assert!(needed.required && !needed.secret && needed.schema == json!({ "type": "string" }));
}
