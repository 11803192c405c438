//! What a component is asked and what comes of it.

use flexcore_domain::IsolationPlace;
use flexcore_plugin_protocol::LimitName;
use flexcore_ports::PluginHost as _;
use serde_json::{Value, json};

use crate::bench::{Bench, ECHO, Place, Wanted, call, component, nothing};

#[tokio::test]
async fn records_go_in_and_come_out() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        let records = json!([{"n": 1}, {"text": "é\u{0}\"", "deep": {"a": [1, null]}}]);
        let end = bench.call(nothing(), records.clone()).await;
        let output = end.outcome.unwrap();
        assert_eq!(output.records, [("input".to_owned(), records.as_array().unwrap().clone())]);
        assert_eq!((output.result, output.state), (None, None));
        assert!(end.uses.is_empty());
        let held = end.isolation.unwrap();
        match place {
            Place::Here => assert_eq!(held.place, IsolationPlace::InProcess),
            Place::Worker => {
                assert!(matches!(held.place, IsolationPlace::Jail { .. }), "{:?}", held.place);
                assert!(held.controls.iter().any(|control| control.name == "seccomp"));
            }
        }
    }
}

#[tokio::test]
async fn parameters_go_in_and_a_result_comes_out() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        for input in [json!({"a": 1.5}), json!("text"), json!(7), json!(true)] {
            let output = bench.call(nothing(), input.clone()).await.outcome.unwrap();
            assert_eq!(output.result, Some(input));
        }
        let output = bench.call(nothing(), Value::Null).await.outcome.unwrap();
        assert_eq!(output.result, None);
    }
}

#[tokio::test]
async fn much_input_is_several_calls_of_one_instance() {
    // Each call answers how many calls there were before it, which only one instance can know.
    let count = format!(
        "(i32.store8 (i32.const 2048) (i32.add (i32.const 49) (i32.load8_u (i32.const 2049))))
         (i32.store8 (i32.const 2049) (i32.add (i32.const 1) (i32.load8_u (i32.const 2049))))
         (local.set $kind (i32.const 2)) (local.set $at (i32.const 2048)) (local.set $length (i32.const 1)) {ECHO}"
    );
    let wasm = component("", &count);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        let records = Value::Array(vec![json!({"text": "x".repeat(3 << 20)}); 4]);
        for _ in 0..2 {
            let output = bench.call(nothing(), records.clone()).await.outcome.unwrap();
            assert_eq!(output.result, Some(json!(4)), "and the next execution begins again");
        }
    }
}

#[tokio::test]
async fn it_says_what_it_is_and_what_is_wrong_with_settings() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        let described = bench.host.initialize(&bench.plugin).await.unwrap();
        assert_eq!((described.name.as_str(), described.version.as_str()), ("guest", "0.1.0"));
        let problems = bench.host.validate(&bench.plugin, &nothing()).await.unwrap();
        assert_eq!(problems[0].message, "settings are missing");
        assert!(bench.host.validate(&bench.plugin, &json!({"a": 1})).await.unwrap().is_empty());
        let schema = bench.host.schema(&bench.plugin, None).await.unwrap();
        assert_eq!(schema.config, Some(json!({"type": "object"})));
        bench.host.health(&bench.plugin).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_as_its_manifest_says_is_refused() {
    let wanted = Wanted { name: "other", ..Wanted::component(component("", ECHO)) };
    let bench = Bench::new(Place::Worker, wanted).await;
    let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
    assert_eq!(error.code, "FC0658");
    assert!(error.message.contains("`guest`") && error.message.contains("`other`"), "{error}");
}

#[tokio::test]
async fn a_failure_is_said_in_the_plugins_words() {
    let fail = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1))
        (call $pair (i32.const 24) (i32.const 100) (i32.const 20)) (i32.const 16)";
    let wasm = component("", fail);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
        assert_eq!((error.code, error.is_fault), ("FC0656", false));
        assert_eq!(error.message, "settings are missing");
    }
}

#[tokio::test]
async fn what_it_keeps_is_there_at_the_next_call() {
    // Puts its input under `k` and answers what was there.
    let fields = r#"
        (import "flexcore:plugin/state@0.1.0" "get" (func $get (param i32 i32 i32)))
        (import "flexcore:plugin/state@0.1.0" "put" (func $put (param i32 i32 i32 i32 i32)))
        (data (i32.const 2000) "k")"#;
    let execute = format!(
        "(call $get (i32.const 2000) (i32.const 1) (i32.const 2048))
         (call $put (i32.const 2000) (i32.const 1) (local.get $at) (local.get $length) (i32.const 3000))
         (if (i32.load8_u (i32.const 3000)) (then unreachable))
         (local.set $kind (i32.shl (i32.load8_u (i32.const 2052)) (i32.const 1)))
         (local.set $at (i32.load (i32.const 2056))) (local.set $length (i32.load (i32.const 2060))) {ECHO}"
    );
    let wasm = component(fields, &execute);
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        let mut state = None;
        for (number, before) in [(1, None), (2, Some(json!(1))), (3, Some(json!(2)))] {
            let call = flexcore_ports::PluginCall { state, ..call(nothing(), json!(number)) };
            let output = bench.carry_out(call).await.outcome.unwrap();
            assert_eq!(output.result, before);
            state = output.state;
        }
        assert_eq!(state.as_deref(), Some("{\"k\":\"3\"}"));
    }
}

#[tokio::test]
async fn many_calls_run_at_one_time() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        let bench = std::sync::Arc::new(Bench::new(place, Wanted::component(wasm.clone())).await);
        let calls = (0..100).map(|number| {
            let bench = std::sync::Arc::clone(&bench);
            tokio::spawn(async move { bench.call(nothing(), json!(number)).await.outcome.unwrap() })
        });
        for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(call.await.unwrap().result, Some(json!(number)));
        }
    }
}

#[tokio::test]
async fn instructions_are_counted_if_the_manifest_says_so() {
    let spin = "(loop $on (br $on)) (i32.const 0)";
    for place in Place::BOTH {
        let mut wanted = Wanted::component(component("", spin));
        wanted.tables = "[wasm]\nfuel = 100000\n".into();
        let bench = Bench::new(place, wanted).await;
        let error = bench.call(nothing(), Value::Null).await.outcome.unwrap_err();
        assert_eq!(error.code, "FC0654", "{error}");
        assert!(error.message.contains("fuel"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_above_its_limit_is_refused() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        let wanted = Wanted::component(wasm.clone()).limit(LimitName::OutputBytes, 1_000);
        let bench = Bench::new(place, wanted).await;
        let fits = bench.call(nothing(), json!("x".repeat(900))).await;
        assert!(fits.outcome.is_ok());
        let error = bench.call(nothing(), json!("x".repeat(1_100))).await.outcome.unwrap_err();
        assert_eq!(error.code, "FC0655", "{error}");
    }
}
