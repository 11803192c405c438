//! Modules of the Extism ABI.

use flexcore_plugin_protocol::CapabilityKind;
use flexcore_ports::{PluginCall, PluginHost as _};
use serde_json::{Value, json};

use crate::bench::{Bench, Place, Wanted, call, extism, nothing, secret};

/// Answers the block that it was given.
const ECHO: &str = "(call $output_set (call $input_offset) (call $input_length)) (i32.const 0)";

#[tokio::test]
async fn bytes_go_in_and_come_out() {
    let module = extism("", ECHO);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::module(&module)).await;
        let output = bench.call(nothing(), json!({"a": [1, "é"]})).await.outcome.unwrap();
        assert_eq!(output.result, Some(json!({"a": [1, "é"]})));
        let output = bench.call(nothing(), json!([{"n": 1}, {"n": 2}])).await.outcome.unwrap();
        assert_eq!(output.records, [("output".to_owned(), vec![json!({"n": 1}), json!({"n": 2})])]);
        let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
        assert_eq!((output.result, output.records), (None, vec![]));
    }
}

#[tokio::test]
async fn an_operation_is_a_function() {
    let fields = r#"(func (export "double") (result i32) (local $at i64)
        (local.set $at (call $alloc (i64.const 1)))
        (call $store_u8 (local.get $at) (i32.const 50))
        (call $output_set (local.get $at) (i64.const 1)) (i32.const 0))
        (func (export "with_parameters") (param i32))"#;
    let bench = Bench::new(Place::Worker, Wanted::module(&extism(fields, ECHO))).await;
    let operation = |name: &str| PluginCall { operation: name.into(), ..call(nothing(), json!(1)) };
    let output = bench.carry_out(operation("double")).await.outcome.unwrap();
    assert_eq!(output.result, Some(json!(2)));
    for name in ["missing", "with_parameters", "memory"] {
        let error = bench.carry_out(operation(name)).await.outcome.unwrap_err();
        assert_eq!(error.code, "FC0658", "{error}");
    }
}

#[tokio::test]
async fn settings_and_secrets_are_there_by_name() {
    // The input is the name of a setting in quotes; the answer is its value.
    let fields =
        r#"(import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))"#;
    let execute = "(local $value i64) (local $name i64) (local $done i64)
        (local.set $name (call $alloc (i64.sub (call $input_length) (i64.const 2))))
        (block $end (loop $next
          (br_if $end (i64.ge_u (local.get $done) (call $length (local.get $name))))
          (call $store_u8 (i64.add (local.get $name) (local.get $done))
            (call $load_u8 (i64.add (i64.add (call $input_offset) (i64.const 1)) (local.get $done))))
          (local.set $done (i64.add (local.get $done) (i64.const 1))) (br $next)))
        (local.set $value (call $config_get (local.get $name)))
        (call $output_set (local.get $value) (call $length (local.get $value))) (i32.const 0)";
    let module = extism(fields, execute);
    for place in Place::BOTH {
        let wanted = Wanted::module(&module).may(CapabilityKind::Secrets, "token");
        let bench = Bench::new(place, wanted).await;
        for (name, value) in [
            ("text", Some(json!("hello"))),
            ("list", Some(json!([1, 2]))),
            ("missing", None),
            ("secret:token", Some(json!("hunter2"))),
            ("secret:other", None),
        ] {
            let config = json!({"text": "hello", "list": [1, 2]});
            let secrets = vec![secret("token", "hunter2"), secret("other", "x")];
            let end = bench.carry_out(PluginCall { secrets, ..call(config, json!(name)) }).await;
            assert_eq!(end.outcome.unwrap().result, value, "{name}");
            let refused = end.uses.iter().filter(|used| !used.allowed).count();
            assert_eq!(refused, usize::from(name == "secret:other"));
        }
    }
}

#[tokio::test]
async fn a_failure_is_said_in_the_modules_words() {
    let fields = r#"(data (i32.const 0) "the cellar is full")"#;
    let execute = "(call $error_set (call $put (i32.const 0) (i32.const 18))) (i32.const 1)";
    let bench = Bench::new(Place::Worker, Wanted::module(&extism(fields, execute))).await;
    let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), ("FC0656", "the cellar is full"));
    let bench = Bench::new(Place::Worker, Wanted::module(&extism("", "(i32.const 7)"))).await;
    let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
    assert_eq!(error.code, "FC0656");
}

#[tokio::test]
async fn variables_are_kept_from_call_to_call() {
    let fields = r#"
        (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
        (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
        (data (i32.const 0) "k")"#;
    let execute = "(local $before i64) (local $key i64)
        (local.set $key (call $put (i32.const 0) (i32.const 1)))
        (local.set $before (call $var_get (local.get $key)))
        (call $var_set (local.get $key) (call $input_offset))
        (call $output_set (local.get $before) (call $length (local.get $before))) (i32.const 0)";
    let bench = Bench::new(Place::Worker, Wanted::module(&extism(fields, execute))).await;
    let first = bench.call(nothing(), json!(1)).await.outcome.unwrap();
    assert_eq!((first.result, first.state.as_deref()), (None, Some("{\"k\":\"1\"}")));
    let second = PluginCall { state: first.state, ..call(nothing(), json!(2)) };
    let second = bench.carry_out(second).await.outcome.unwrap();
    assert_eq!((second.result, second.state.as_deref()), (Some(json!(1)), Some("{\"k\":\"2\"}")));
}

#[tokio::test]
async fn a_module_may_bring_a_schema_and_a_validation() {
    let fields = r#"
        (data (i32.const 0) "{\"type\":\"object\"}[{\"pointer\":\"/a\",\"message\":\"too small\"}]")
        (func (export "config_schema") (result i32)
          (call $output_set (call $put (i32.const 0) (i32.const 17)) (i64.const 17)) (i32.const 0))
        (func (export "validate") (result i32)
          (call $output_set (call $put (i32.const 17) (i32.const 40)) (i64.const 40)) (i32.const 0))"#;
    let bench = Bench::new(Place::Worker, Wanted::module(&extism(fields, ECHO))).await;
    let schema = bench.host.schema(&bench.plugin, None).await.unwrap();
    assert_eq!(schema.config, Some(json!({"type": "object"})));
    let problems = bench.host.validate(&bench.plugin, &nothing()).await.unwrap();
    assert_eq!((problems[0].pointer.as_str(), problems[0].message.as_str()), ("/a", "too small"));

    let plain = Bench::new(Place::Worker, Wanted::module(&extism("", ECHO))).await;
    assert_eq!(plain.host.schema(&plain.plugin, None).await.unwrap().config, None);
    assert!(plain.host.validate(&plain.plugin, &nothing()).await.unwrap().is_empty());
}
