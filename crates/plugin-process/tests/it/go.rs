//! Plugins in Go, made with HashiCorp's go-plugin.

use flexcore_domain::ErrorClass;
use flexcore_ports::{CallablePlugin, PluginCall, PluginHost as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, call, go_program};

const POOL: &str = "[pool]\nmin_idle = 1\nmax = 2\n";

async fn greeter() -> (Bench, CallablePlugin) {
    let bench = Bench::new().await;
    let plugin = bench.program("go-greeter", &go_program("go-greeter"), POOL);
    (bench, plugin)
}

async fn probe() -> (Bench, CallablePlugin) {
    let bench = Bench::new().await;
    let plugin = bench.program("go-probe", &go_program("go-probe"), POOL);
    (bench, plugin)
}

fn with(call: PluginCall, config: Value) -> PluginCall {
    PluginCall { config, ..call }
}

#[tokio::test]
async fn records_go_through_a_go_plugin() {
    let (bench, plugin) = greeter().await;
    let description = bench.host.initialize(&plugin).await.unwrap();
    assert_eq!((description.name.as_str(), description.version.as_str()), ("go-greeter", "1.0.0"));
    let input = json!([{"name": "Ada", "n": 1}, {"name": "Bob", "n": 2}]);
    let end = bench.execute(&plugin, with(call("", input), json!({"greeting": "Hi"}))).await;
    let output = end.outcome.unwrap();
    assert_eq!(
        output.records,
        [(
            "greetings".to_owned(),
            vec![
                json!({"name": "Ada", "n": 1, "greeting": "Hi, Ada!"}),
                json!({"name": "Bob", "n": 2, "greeting": "Hi, Bob!"}),
            ]
        )]
    );
    assert!(end.isolation.is_some_and(|isolation| !isolation.controls.is_empty()));
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn more_records_than_there_is_credit_for_go_through() {
    let (bench, plugin) = greeter().await;
    let long = "x".repeat(1 << 20);
    let input: Vec<Value> = (0..20).map(|n| json!({"name": long, "n": n})).collect();
    let output = bench.run(&plugin, call("", input.into())).await;
    let numbers: Vec<_> = output.records[0].1.iter().map(|record| record["n"].clone()).collect();
    assert_eq!(numbers, (0..20).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn settings_are_checked_and_described() {
    let (bench, plugin) = greeter().await;
    assert_eq!(bench.host.validate(&plugin, &json!({"greeting": "Hi"})).await.unwrap(), []);
    let problems = bench.host.validate(&plugin, &json!({"greting": "Hi"})).await.unwrap();
    assert!(problems[0].message.contains("greting"), "{problems:?}");
    let schema = bench.host.schema(&plugin, None).await.unwrap();
    assert_eq!(schema.config.unwrap()["properties"]["greeting"]["default"], "Hello");
    let error = bench.fail(&plugin, with(call("", json!([])), json!({"field": ""}))).await;
    assert_eq!((error.class, error.code), (ErrorClass::Refused, "FC0648"));
    bench.host.health(&plugin).await.unwrap();
}

#[tokio::test]
async fn what_a_plugin_says_is_wrong_is_its_error_and_no_fault() {
    let (bench, plugin) = greeter().await;
    let error = bench.fail(&plugin, call("", json!([{"nobody": 1}]))).await;
    assert!(error.message.contains("no text in \"name\""), "{error:?}");
    assert!(!error.is_fault && error.code == "FC0648");
    let (bench, plugin) = probe().await;
    let error = bench.fail(&plugin, call("refuse", json!(null))).await;
    assert_eq!((error.class, error.is_fault), (ErrorClass::Network, false));
}

#[tokio::test]
async fn a_process_is_used_again_and_gets_settings_only_when_they_differ() {
    let (bench, plugin) = probe().await;
    let mut seen = Vec::new();
    for n in [1, 1, 2, 1] {
        let output = bench.run(&plugin, with(call("", json!({"n": n})), json!({"n": n}))).await;
        let result = output.result.unwrap();
        assert_eq!(
            (&result["settings"], &result["parameters"]),
            (&json!({"n": n}), &json!({"n": n}))
        );
        seen.push((result["process"].clone(), result["calls"].clone()));
        assert_eq!(output.state.as_deref(), Some(r#"{"after":""}"#));
    }
    assert!(seen.iter().all(|(pid, _)| *pid == seen[0].0), "{seen:?}");
    assert_eq!(seen[3].1, 4);
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn the_loggers_lines_become_lines_of_the_log() {
    let (bench, plugin) = probe().await;
    bench.run(&plugin, call("log", json!(null))).await;
    // It may come a moment after the answer; the next call gets it then.
    while !bench.log.has("stderr warn: a line of the logger number=7") {
        bench.run(&plugin, call("", json!(null))).await;
    }
}

#[tokio::test]
async fn a_plugin_that_dies_in_a_call_is_named_and_replaced() {
    let (bench, plugin) = probe().await;
    for (operation, says) in
        [("exit", "exit code 3"), ("panic", "exit code 2"), ("kill", "exit code 4")]
    {
        let error = bench.fail(&plugin, call(operation, json!(null))).await;
        assert_eq!((error.code, error.is_fault), ("FC0645", true), "{error:?}");
        assert!(error.message.contains(says), "{error:?}");
        if operation == "panic" {
            assert!(
                error.stderr_tail.iter().any(|line| line.contains("as it was asked to")),
                "{error:?}"
            );
        }
        let output = bench.run(&plugin, call("", json!(null))).await;
        assert_eq!(output.result.unwrap()["calls"], 1);
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_plugin_that_hears_that_it_is_to_stop_goes_on_to_be_used() {
    let (bench, plugin) = probe().await;
    let first = bench.run(&plugin, call("", json!(null))).await.result.unwrap()["process"].clone();
    let cancel = CancellationToken::new();
    cancel.cancel();
    // The lease is there before it is looked at: a process waits.
    let end = bench.execute_until(&plugin, call("until-cancelled", json!(null)), cancel).await;
    let error = end.outcome.unwrap_err();
    assert!(error.cancelled && !error.is_fault && error.code == "FC0649", "{error:?}");
    let second = bench.run(&plugin, call("", json!(null))).await.result.unwrap()["process"].clone();
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_plugin_that_hears_nothing_is_ended() {
    let bench = Bench::with(|options| options.stop = std::time::Duration::from_millis(50)).await;
    let plugin = bench.program("go-probe", &go_program("go-probe"), POOL);
    let timeout = Some(std::time::Duration::from_millis(50));
    let late = PluginCall { timeout, ..call("hang", json!(null)) };
    // One is there, so that the time is not spent on its start.
    bench.host.initialize(&plugin).await.unwrap();
    let error = bench.fail(&plugin, late).await;
    assert_eq!((error.class, error.code, error.is_fault), (ErrorClass::Timeout, "FC0647", true));
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let call_ = call("hang", json!(null));
    let ((), end) =
        tokio::join!(async { stop.cancel() }, bench.execute_until(&plugin, call_, cancel));
    assert!(end.outcome.unwrap_err().cancelled);
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_silent_plugin_is_ended_when_its_limits_say_so() {
    let bench = Bench::new().await;
    let limits = format!("{POOL}[limits]\nidle = \"50ms\"\n");
    let plugin = bench.program("go-probe", &go_program("go-probe"), &limits);
    let error = bench.fail(&plugin, call("hang", json!(null))).await;
    assert!(error.code == "FC0647" && error.message.contains("said nothing"), "{error:?}");
    bench.nothing_is_left().await;
}
