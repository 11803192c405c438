//! `data-validator`.

use flexcore_plugin_protocol::protobuf::v1::FailureClass;
use flexcore_plugin_sdk::testing::TestCall;
use serde_json::{Value, json};

use crate::{initialized, started};

const NAME: &str = "data-validator";

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "integer"}, "mail": {"type": "string", "maxLength": 5}},
    })
}

#[tokio::test]
async fn what_fits_goes_on_as_it_came_and_the_rest_is_put_aside() {
    let plugin = initialized(NAME, &json!({"schema": schema()})).await;
    let fits = r#"{"id": 1, "x": 0.10000000000000000001}"#;
    let lines = [fits, r#"{"mail":"toolong"}"#].map(str::to_owned);
    let answer = plugin.call(TestCall::lines(lines)).await.unwrap();
    assert_eq!(answer.lines[0], ("input".to_owned(), fits.to_owned()));
    let rejected = &answer.records("rejected")[0];
    assert_eq!(rejected["record"], json!({"mail": "toolong"}));
    assert_eq!((&rejected["number"], &rejected["stream"]), (&json!(2), &json!("input")));
    let pointers: Vec<&str> = rejected["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers.len(), 2, "{rejected}");
    assert!(pointers.contains(&"/mail"), "{rejected}");
    assert_eq!(answer.result(), json!({"records": 2, "valid": 1, "invalid": 1}));
}

#[tokio::test]
async fn a_call_fails_at_the_first_or_at_too_many() {
    let records = || [json!({"id": "secret"}), json!({"id": 1}), json!({})];
    let config = json!({"schema": schema(), "on_invalid": "fail"});
    let plugin = initialized(NAME, &config).await;
    let answer = plugin.call(TestCall::records(records())).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.contains("record 1 of data stream `input`"), "{failure:?}");
    assert!(failure.message.contains("at /id"), "{failure:?}");
    assert!(!failure.message.contains("secret"), "{failure:?}");

    let some = initialized(NAME, &json!({"schema": schema(), "max_invalid": 1})).await;
    let answer = some.call(TestCall::records(records())).await.unwrap();
    assert_eq!(answer.records("rejected").len(), 1);
    assert!(answer.failure().unwrap().message.starts_with("more than 1 records do not fit"));
}

#[tokio::test]
async fn data_streams_have_schemas_of_their_own() {
    let plugin = initialized(NAME, &json!({"schemas": {"other": true}})).await;
    let answer = plugin.call(TestCall::records([json!({})])).await.unwrap();
    assert!(answer.failure().unwrap().message.contains("`input` has no schema"));
    let plugin = initialized(NAME, &json!({"schema": true, "schemas": {"input": false}})).await;
    let answer = plugin.call(TestCall::records([json!({})])).await.unwrap();
    assert_eq!(answer.result()["invalid"], json!(1));
}

#[tokio::test]
async fn parameters_give_a_verdict() {
    let plugin = initialized(NAME, &json!({"schema": schema()})).await;
    let good = plugin.call(TestCall::parameters(&json!({"id": 1}))).await.unwrap();
    assert_eq!(good.result(), json!({"valid": true, "errors": []}));
    let bad = plugin.call(TestCall::parameters(&json!({"id": "x"}))).await.unwrap().result();
    assert_eq!((&bad["valid"], &bad["errors"][0]["pointer"]), (&json!(false), &json!("/id")));
}

#[tokio::test]
async fn settings_with_mistakes_are_told() {
    let plugin = started(NAME).await;
    let problem = |config| {
        let plugin = &plugin;
        async move { plugin.validate(&config).await.unwrap().remove(0) }
    };
    assert!(problem(json!({})).await.message.contains("neither"));
    assert_eq!(problem(json!({"schema": {"type": "integr"}})).await.pointer, "/schema");
    let fetched = json!({"schemas": {"a/b": {"$ref": "https://example.com/schema.json"}}});
    assert_eq!(problem(fetched).await.pointer, "/schemas/a~1b");
}
