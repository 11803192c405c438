//! Calls that a host makes, and how they end.

use std::time::Duration;

use flexcore_plugin_protocol::protobuf::v1::FailureClass;
use flexcore_plugin_sdk::{
    Problem,
    testing::{CallError, TestCall},
};
use serde_json::json;

use crate::Author;

pub(crate) async fn records_come_back_byte_for_byte(author: Author) {
    let plugin = author.initialized().await;
    let lines = [r#"{"n":1.10000000000000000001,"b":18446744073709551617}"#, r#"{ "ü" : [ ] }"#];
    let call = TestCall::lines(lines.map(str::to_owned));
    let answer = plugin.call(call).await.unwrap();
    assert_eq!(answer.lines, lines.map(|line| ("echo".to_owned(), line.to_owned())));
    assert_eq!(answer.result(), json!({"records": 2}));
}

pub(crate) async fn much_goes_through_little_credit_both_ways(author: Author) {
    let plugin = author.initialized().await;
    let line = json!({"text": "x".repeat(1000)}).to_string();
    let lines: Vec<String> = std::iter::repeat_n(line, 40_000).collect();
    let call = TestCall::lines(lines.clone()).credit(2, 300_000);
    let answer = plugin.call(call).await.unwrap();
    assert_eq!(answer.lines.len(), lines.len());
    assert!(answer.chunks > 100, "{}", answer.chunks);
}

pub(crate) async fn the_longest_record_goes_through(author: Author) {
    let plugin = author.initialized().await;
    let line = json!({"text": "x".repeat(14 * 1024 * 1024)}).to_string();
    let answer = plugin.call(TestCall::lines([line.clone(), line])).await.unwrap();
    assert_eq!(answer.lines.len(), 2);
}

pub(crate) async fn nothing_in_gives_nothing_out(author: Author) {
    let answer = author.initialized().await.call(TestCall::records([])).await.unwrap();
    assert_eq!((answer.chunks, answer.result()), (0, json!({"records": 0})));
}

pub(crate) async fn a_call_is_told_what_it_is_about(author: Author) {
    let plugin = author.initialized().await;
    let call = TestCall::parameters(&json!({"x": 1})).operation("about").bookmark("[7]");
    let about = plugin.call(call).await.unwrap().result();
    assert_eq!(
        about,
        json!({
            "config": {"greeting": "Hello"},
            "secret": 5,
            "attempt": 1,
            "parameters": {"x": 1},
            "bookmark": [7],
        })
    );
}

pub(crate) async fn bookmarks_and_lines_of_the_log_come_after_the_records_before_them(
    author: Author,
) {
    let plugin = author.initialized().await;
    let call = TestCall::parameters(&json!({"count": 1000})).operation("count");
    let answer = plugin.call(call).await.unwrap();
    assert_eq!(answer.records("numbers").len(), 1000);
    assert_eq!(answer.bookmarks, [r#"{"upto":1000}"#]);
    assert_eq!(answer.log, ["counted"]);
}

pub(crate) async fn a_failure_has_its_class_and_text(author: Author) {
    let plugin = author.initialized().await;
    let answer = plugin.call(TestCall::records([]).operation("fail")).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Network);
    assert_eq!(failure.message, "the other side is away");
}

pub(crate) async fn a_panic_fails_the_call_and_the_health(author: Author) {
    let plugin = author.initialized().await;
    let answer = plugin.call(TestCall::records([]).operation("panic")).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Internal);
    let (said, ill) = match author {
        Author::Rust => ("the plugin panicked: on purpose", "an execution panicked: on purpose"),
        Author::Python => (
            "the plugin raised RuntimeError: on purpose",
            "an execution raised: RuntimeError: on purpose",
        ),
    };
    assert_eq!(failure.message, said);
    assert_eq!(plugin.health().await.unwrap(), Err(ill.to_owned()));
}

pub(crate) async fn a_record_that_is_no_record_names_itself(author: Author) {
    let plugin = author.initialized().await;
    let lines = ["{}", "{\"a\":"].map(str::to_owned);
    let answer = plugin.call(TestCall::lines(lines)).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.starts_with("record 2 of data stream `input`"), "{failure:?}");
    let answer = plugin.call(TestCall::records([]).operation("no object")).await.unwrap();
    assert!(answer.failure().unwrap().message.contains("no JSON object"));
    let answer = plugin.call(TestCall::records([]).operation("pretty")).await.unwrap();
    assert_eq!(answer.lines[0].1, r#"{   "n": 1.10000000000000000001 }"#);
}

pub(crate) async fn cancelling_ends_calls_that_listen_and_calls_that_do_not(author: Author) {
    let plugin = author.initialized().await;
    let listens = TestCall::records([]).operation("wait").cancel_after(1);
    let answer = plugin.call(listens).await.unwrap();
    assert_eq!(answer.failure().unwrap().message, "as you wish");
    let deaf = TestCall::records([]).operation("hang").cancel_after(0);
    let answer = plugin.call(deaf).await.unwrap();
    let failure = answer.failure().unwrap();
    assert_eq!(failure.class, FailureClass::Cancelled);
    assert_eq!(failure.message, "stopped: the test cancelled it");
    let waits_for_input = TestCall::records([]).cancel_after(0);
    let answer = plugin.call(waits_for_input).await.unwrap();
    assert_eq!(answer.failure().unwrap().class, FailureClass::Cancelled);
}

pub(crate) async fn as_many_calls_run_as_the_plugin_says(author: Author) {
    let plugin = author.initialized().await;
    let hang = || TestCall::records([]).operation("wait").limit(Duration::from_secs(10));
    let (first, second, third, fourth) =
        (plugin.client(), plugin.client(), plugin.client(), plugin.client());
    let mut held = Vec::new();
    for mut client in [first, second, third, fourth] {
        let (requests, receiver) = tokio::sync::mpsc::unbounded_channel();
        requests.send(crate::hostile::begin("wait")).unwrap();
        let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
        let mut answers = client.execute(stream).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap();
        held.push((requests, answers));
    }
    let refused = plugin.call(hang()).await.unwrap_err();
    assert!(refused.to_string().contains("4 executions at a time"), "{refused}");
    // A host that goes away makes room.
    held.pop();
    let call = || TestCall::parameters(&json!({})).operation("about");
    while plugin.call(call()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn settings_are_checked(author: Author) {
    let plugin = author.started().await;
    assert_eq!(
        plugin.validate(&json!({"greeting": 1})).await.unwrap(),
        [Problem::new("/greeting", "is a text")]
    );
    assert_eq!(plugin.validate(&json!({})).await.unwrap(), []);
    let no_json = plugin.validate_text("{".to_owned()).await.unwrap();
    assert!(no_json[0].message.contains("no JSON"), "{no_json:?}");
    let wrong = plugin.initialize(&json!({"greeting": 1}), &[]).await.unwrap_err();
    assert!(wrong.to_string().ends_with("/greeting: is a text"), "{wrong}");
    let warnings = plugin.initialize(&json!({"greeting": ""}), &[]).await.unwrap();
    assert_eq!(warnings, ["is empty"]);
    let without = plugin.initialize(&json!({"needs_secret": true}), &[]).await.unwrap_err();
    assert!(without.to_string().contains("the secret `token` is not there"), "{without}");
}

pub(crate) async fn a_call_before_the_settings_is_refused(author: Author) {
    let plugin = author.started().await;
    assert_eq!(plugin.health().await.unwrap(), Err("not initialized".to_owned()));
    let refused = plugin.call(TestCall::records([])).await.unwrap_err();
    assert!(matches!(refused, CallError::Status(_)), "{refused}");
    assert!(refused.to_string().contains("not initialized"), "{refused}");
}

/// Only Python makes numbers of its own of decimals.
#[tokio::test]
async fn decimals_keep_their_digits_in_python() {
    let plugin = Author::Python.initialized().await;
    let line =
        r#"{"n":1.10000000000000000001,"list":[0.1,{"e":12345678901234567890}],"t":"\u00fc"}"#;
    let call = TestCall::lines([line.to_owned()]).operation("exact");
    assert_eq!(plugin.call(call).await.unwrap().lines, [("echo".to_owned(), line.to_owned())]);
}
