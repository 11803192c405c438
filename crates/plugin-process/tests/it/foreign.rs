//! Plugins that were made for other hosts.

use std::fs;

use flexcore_plugin_protocol::FILE_DESCRIPTORS;
use flexcore_ports::{CallablePlugin, PluginHost as _};
use serde_json::json;

use crate::bench::{Bench, call, go_program, plugin};

async fn foreign(argument: &str) -> (Bench, CallablePlugin) {
    let bench = Bench::new().await;
    let folder = bench.program("go-probe", &go_program("go-probe"), "").folder.unwrap();
    let plugin = plugin("go-probe", &["program", argument], &folder, "");
    (bench, plugin)
}

#[tokio::test]
async fn a_method_is_called_with_bytes() {
    let (bench, plugin) = foreign("foreign").await;
    let description = bench.host.initialize(&plugin).await.unwrap();
    assert!(description.detail.contains("services of its own"), "{description:?}");
    bench.host.health(&plugin).await.unwrap();
    // A ValidateRequest with `config_json` "hi"; the answer is its text in a problem.
    let input = json!({"base64": "CgJoaQ=="});
    let output = bench.run(&plugin, call("demo.Checker/Check", input)).await;
    assert_eq!(output.result, Some(json!({"base64": "CggSBmdvdCBoaQ=="})));
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_method_that_cannot_be_called_is_named() {
    let (bench, plugin) = foreign("foreign").await;
    for (operation, input, says) in [
        ("", json!(null), "must name a method"),
        ("demo.Checker/Nothing", json!(null), "unimplemented"),
        ("demo.Checker/Check", json!({"base64": "?"}), "no base64"),
        ("demo.Checker/Check", json!({"a": 1}), "no descriptors.binpb"),
        ("demo.Checker/Check", json!({"base64": "CgRmYWls"}), "not found: as asked"),
    ] {
        let error = bench.fail(&plugin, call(operation, input)).await;
        assert!(error.message.contains(says) && !error.is_fault, "{error:?}");
    }
}

#[tokio::test]
async fn messages_are_json_where_the_descriptors_lie_beside_the_plugin() {
    let (bench, plugin) = foreign("").await;
    // Any service will do: here the plugin's own, called as if nothing was known of it.
    let folder = plugin.folder.clone().unwrap();
    fs::write(folder.join("descriptors.binpb"), FILE_DESCRIPTORS).unwrap();
    let (bench, plugin) = {
        let as_foreign = crate::bench::plugin("go-probe", &["program", "foreign"], &folder, "");
        (bench, as_foreign)
    };
    let output =
        bench.run(&plugin, call("grpc.health.v1.Health/Check", json!({"service": "plugin"}))).await;
    assert_eq!(output.result, Some(json!({"status": "SERVING"})));
    let error =
        bench.fail(&plugin, call("grpc.health.v1.Health/Check", json!({"servce": 1}))).await;
    assert!(error.message.contains("servce"), "{error:?}");
    let error = bench.fail(&plugin, call("demo.Checker/Check", json!({}))).await;
    assert!(error.message.contains("descriptors.binpb has no method"), "{error:?}");
}

#[tokio::test]
async fn plugins_from_before_grpc_are_told_what_is_missing() {
    let (bench, plugin) = foreign("netrpc").await;
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert!(error.code == "FC0610" && error.message.contains("DefaultGRPCServer"), "{error:?}");
    bench.nothing_is_left().await;
}
