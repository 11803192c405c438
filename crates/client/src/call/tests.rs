use flexcore_api::{
    BookmarkAddress, ExecutePipeline, GetAggregate, GetExecution, GetPipeline, ListExecutions,
    ReadEvents, SetBookmark,
};

use super::*;

#[test]
fn fields_of_the_path_are_escaped_and_leave_the_rest() {
    let call = Call::of_query(&GetExecution { execution: "a/b c?ü".to_owned() }).unwrap();
    assert_eq!(call.target, "executions/a%2Fb%20c%3F%C3%BC");
    assert_eq!((call.method, call.body, call.is_repeatable), (Method::Get, None, true));
}

#[test]
fn the_rest_of_a_read_is_its_query() {
    let query = ListExecutions {
        pipeline: Some("a&b".to_owned()),
        statuses: vec!["failed".to_owned(), "running".to_owned()],
        limit: 5,
        after: None,
    };
    let call = Call::of_query(&query).unwrap();
    assert_eq!(call.target, "executions?limit=5&pipeline=a%26b&statuses=failed&statuses=running");
    let call = Call::of_query(&ReadEvents { after: u64::MAX, ..ReadEvents::default() }).unwrap();
    assert!(call.target.contains("after=18446744073709551615"), "{}", call.target);
}

#[test]
fn the_rest_of_a_change_is_its_body_and_its_key_a_header() {
    let command = ExecutePipeline {
        pipeline: "flights".to_owned(),
        run_key: Some("once".to_owned()),
        ..ExecutePipeline::default()
    };
    let call = Call::of_command(&command).unwrap();
    assert_eq!((&*call.target, call.is_repeatable), ("pipelines/flights/executions", true));
    assert_eq!(call.idempotency_key.as_deref(), Some("once"));
    let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!((body.get("pipeline"), body.get("run_key")), (None, None));
    // What no header can hold stays in the body.
    let key = Some("ü".to_owned());
    let odd = Call::of_command(&ExecutePipeline { run_key: key, ..command.clone() }).unwrap();
    assert!(odd.idempotency_key.is_none() && odd.body.unwrap().contains("\"run_key\":\"ü\""));
    let without = Call::of_command(&ExecutePipeline { run_key: None, ..command }).unwrap();
    assert!(!without.is_repeatable && without.idempotency_key.is_none());
}

#[test]
fn a_field_within_another_is_found_and_numbers_keep_their_digits() {
    let state = r#"{"n":12345678901234567890123.50}"#;
    let command = SetBookmark {
        bookmark: BookmarkAddress {
            pipeline: "p".to_owned(),
            state: "s".to_owned(),
            environment: "default".to_owned(),
            item: None,
        },
        state: RawValue::from_string(state.to_owned()).unwrap(),
    };
    let call = Call::of_command(&command).unwrap();
    assert_eq!(call.target, "pipelines/p/bookmarks/s");
    let body = call.body.unwrap();
    assert!(body.contains(state), "{body}");
    assert!(body.contains("\"environment\"") && !body.contains("\"pipeline\""), "{body}");
}

#[test]
fn a_stream_keeps_its_slashes() {
    let query = GetAggregate {
        stream: "default/execution/a%2Fb".to_owned(),
        at_version: None,
        at_time: None,
    };
    let call = Call::of_query(&query).unwrap();
    assert_eq!(call.target, "aggregates/default/execution/a%252Fb");
}

#[test]
fn what_no_path_can_say_is_asked_by_name() {
    for name in ["", ".", ".."] {
        let call = Call::of_query(&GetPipeline { name: name.to_owned(), version: None }).unwrap();
        assert_eq!((&*call.target, call.method), ("queries", Method::Post));
        let body: Value = serde_json::from_str(&call.body.unwrap()).unwrap();
        assert_eq!(body["query"], "GetPipeline");
        assert_eq!(body["body"]["name"], name);
        assert!(call.is_repeatable);
    }
}
