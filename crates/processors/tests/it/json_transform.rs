//! `json-transform`.

use flexcore_plugin_protocol::protobuf::v1::FailureClass;
use flexcore_plugin_sdk::testing::TestCall;
use serde_json::json;

use crate::{initialized, started};

const NAME: &str = "json-transform";

#[tokio::test]
async fn each_record_gives_its_results() {
    let filter = "select(.n > 1) | {n, half: (.n / 2), $unit}, [{copy: .}]";
    let config = json!({"filter": filter, "variables": {"unit": "m"}});
    let plugin = initialized(NAME, &config).await;
    let lines = [r#"{"n":1}"#, r#"{"n":3,"exact":0.10000000000000000001}"#].map(str::to_owned);
    let answer = plugin.call(TestCall::lines(lines)).await.unwrap();
    let expected =
        [r#"{"n":3,"half":1.5,"unit":"m"}"#, r#"{"copy":{"n":3,"exact":0.10000000000000000001}}"#];
    assert_eq!(answer.lines, expected.map(|line| ("input".to_owned(), line.to_owned())));
    assert_eq!(answer.result(), json!({"records": 2, "sent": 2, "rejected": 0}));
}

#[tokio::test]
async fn a_program_can_see_all_records_at_once() {
    let filter = "group_by(.k) | map({k: .[0].k, sum: map(.n) | add})";
    let plugin = initialized(NAME, &json!({"filter": filter, "over": "all"})).await;
    let records = [json!({"k": "a", "n": 1}), json!({"k": "b", "n": 5}), json!({"k": "a", "n": 2})];
    let answer = plugin.call(TestCall::records(records)).await.unwrap();
    assert_eq!(
        answer.records("output"),
        [json!({"k": "a", "sum": 3}), json!({"k": "b", "sum": 5})]
    );
}

#[tokio::test]
async fn parameters_give_a_result() {
    let plugin = initialized(NAME, &json!({"filter": ".a[]"})).await;
    let one = plugin.call(TestCall::parameters(&json!({"a": [7]}))).await.unwrap();
    assert_eq!(one.result(), json!(7));
    let two = plugin.call(TestCall::parameters(&json!({"a": [7, "x"]}))).await.unwrap();
    assert_eq!(two.result(), json!([7, "x"]));
    let wrong = plugin.call(TestCall::parameters(&json!({"a": 1}))).await.unwrap();
    assert_eq!(wrong.failure().unwrap().class, FailureClass::Data);
}

#[tokio::test]
async fn a_record_that_fails_is_named_or_put_aside() {
    let records = || [json!({"n": 1}), json!({"n": "x"})];
    let strict = initialized(NAME, &json!({"filter": "{n: (.n - 1)}"})).await;
    let answer = strict.call(TestCall::records(records())).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Data);
    let named = "the jq program fails for record 2 of data stream `input`: cannot calculate";
    assert!(failure.message.starts_with(named), "{}", failure.message);

    let config = json!({"filter": "{n: (.n - 1)}", "on_error": "reject", "stream": "out"});
    let lenient = initialized(NAME, &config).await;
    let answer = lenient.call(TestCall::records(records())).await.unwrap();
    assert_eq!(answer.records("out"), [json!({"n": 0})]);
    let rejected = &answer.records("rejected")[0];
    assert_eq!((&rejected["record"], &rejected["number"]), (&json!({"n": "x"}), &json!(2)));
    assert!(rejected["error"].as_str().unwrap().contains("cannot calculate"));
    assert_eq!(answer.result(), json!({"records": 2, "sent": 1, "rejected": 1}));

    let no_record = initialized(NAME, &json!({"filter": ".n"})).await;
    let answer = no_record.call(TestCall::records(records())).await.unwrap();
    assert!(answer.failure().unwrap().message.contains("its result is a number"));
}

#[tokio::test]
async fn settings_with_mistakes_are_told() {
    let plugin = started(NAME).await;
    let problems = plugin.validate(&json!({"filter": ".a |"})).await.unwrap();
    assert_eq!(problems[0].pointer, "/filter");
    assert!(problems[0].message.contains("line 1"), "{problems:?}");
    let unknown = plugin.validate(&json!({"filter": ".", "x": 1})).await.unwrap();
    assert!(unknown[0].message.contains("unknown field `x`"), "{unknown:?}");
    assert!(!plugin.validate(&json!({})).await.unwrap().is_empty());
}
