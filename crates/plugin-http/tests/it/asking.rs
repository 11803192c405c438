//! Health, schemas, settings, calls: what a good service answers.

use std::{sync::Arc, time::Duration};

use flexcore_domain::{CapabilityUse, IsolationPlace};
use flexcore_plugin_protocol::SecretName;
use flexcore_ports::{ConfigProblem, PluginCall, PluginHost as _};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{Lines, Service, call, callable, execute, host, manifest, plugin};

#[tokio::test]
async fn a_service_says_what_it_is_and_what_it_takes() {
    let service = Service::plain();
    let (host, plugin) = (host(), service.plugin());
    let description = host.initialize(&plugin).await.unwrap();
    assert_eq!((&*description.name, &*description.version), ("flext", "1.0.0"));
    assert_eq!(description.detail, "a service of the tests");
    host.health(&plugin).await.unwrap();

    let schema = host.schema(&plugin, None).await.unwrap();
    assert_eq!(schema.config, Some(json!({ "type": "object", "required": ["to"] })));
    let schema = host.schema(&plugin, Some(&json!({ "stream": "orders" }))).await.unwrap();
    assert_eq!(schema.data_streams, [("orders".to_owned(), json!({ "type": "object" }))]);

    assert_eq!(host.validate(&plugin, &json!({ "to": 1 })).await.unwrap(), []);
    let problem = |pointer: &str, message: &str, warning| ConfigProblem {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
        warning,
    };
    assert_eq!(
        host.validate(&plugin, &json!({})).await.unwrap(),
        [problem("/to", "is missing", false), problem("", "old", true)]
    );
}

#[tokio::test]
async fn a_call_carries_what_it_should_and_leaves_a_trace() {
    let service = Service::plain();
    let call = PluginCall {
        input: json!([{ "id": 1 }]),
        state: Some("{\"at\":7}".to_owned()),
        secrets: vec![(SecretName::parse("db").unwrap(), "s3cret".to_owned())],
        timeout: Some(Duration::from_secs(20)),
        ..call("echo")
    };
    let end = execute(&service.plugin(), call).await;
    let output = end.outcome.unwrap();
    let result = output.result.unwrap();
    assert_eq!(
        result["call"],
        json!({
            "id": "ex1/load/1", "attempt": 1, "operation": "echo", "tenant": "default",
            "config": {}, "records": [{ "id": 1 }], "parameters": null, "state": { "at": 7 },
            "secrets": { "db": "s3cret" },
        })
    );
    let headers = &result["headers"];
    assert_eq!(headers["idempotency-key"], "ex1/load");
    assert!(headers["traceparent"].as_str().unwrap().starts_with("00-"));
    let left: u64 = headers["flexcore-timeout-ms"].as_str().unwrap().parse().unwrap();
    assert!((1..=20_000).contains(&left), "{left}");
    assert!(headers.get("authorization").is_none());
    let streams: Vec<&str> = output.records.iter().map(|(name, _)| &**name).collect();
    assert_eq!(streams, ["a", "b"]);

    assert_eq!(end.isolation.unwrap().place, IsolationPlace::Remote);
    let [CapabilityUse { capability, allowed: true, times: 1, bytes }] = &*end.uses else {
        panic!("{:?}", end.uses);
    };
    assert_eq!(*capability, format!("network tcp://127.0.0.1:{}", service.port));
    assert!(*bytes > 400, "{bytes}");
}

#[tokio::test]
async fn lines_are_read_as_they_come() {
    let service = Service::plain();
    let call = PluginCall { config: json!({ "to": 3 }), ..call("count") };
    let log = Arc::new(Lines::default());
    let end = host().execute(&service.plugin(), call, log.clone(), CancellationToken::new()).await;
    let output = end.outcome.unwrap();
    assert_eq!(output.result, Some(json!({ "counted": 3 })));
    assert_eq!(output.state.as_deref(), Some("{\"at\":3}"));
    let counts: Vec<_> = output.records.iter().map(|(name, all)| (&**name, all.len())).collect();
    assert_eq!(counts, [("numbers", 3), ("ends", 1)]);
    assert_eq!(*log.lines.lock().unwrap(), ["info: at 0", "info: at 1", "info: at 2"]);
}

#[tokio::test]
async fn a_service_that_was_not_granted_is_not_called() {
    let url = "http://127.0.0.1:9";
    let text = manifest(url, "tcp://127.0.0.1:9", "");
    let end = execute(&callable(&text, "grants = 1\n"), call("echo")).await;
    assert_eq!((end.isolation, &*end.uses), (None, &[][..]));
    let error = end.outcome.unwrap_err();
    assert_eq!((error.code, error.is_fault), ("FC0611", false));
    assert!(
        error.message.ends_with(
            "add to `grants.toml`:\n[[grant]]\nplugin = \"flext\"\nnetwork = [\"tcp://127.0.0.1:9\"]\n"
        ),
        "{error}"
    );
    // Asked for another address than its own: then it is the manifest that has to change first.
    let text = manifest(url, "tcp://127.0.0.1:10", "");
    let error = execute(&callable(&text, "grants = 1\n"), call("echo")).await.outcome.unwrap_err();
    assert!(error.message.contains("its manifest has to ask"), "{error}");
}

#[tokio::test]
async fn another_service_at_the_address_is_found_out() {
    let service = Service::plain();
    let mut other = plugin(&service.url(), "");
    let mut changed = (*other.manifest).clone();
    changed.version = "2.0.0".to_owned();
    other.manifest = Arc::new(changed);
    let error = host().initialize(&other).await.unwrap_err();
    assert_eq!(error.code, "FC0662");
    assert!(
        error.message.contains("`flext` 1.0.0, and the manifest is of `flext` 2.0.0"),
        "{error}"
    );
}
