//! Plugins that begin well and go on badly.

use std::time::Duration;

use flexcore_domain::ErrorClass;
use flexcore_ports::{CallablePlugin, PluginCall, PluginHost as _};
use serde_json::json;

use crate::bench::{Bench, call, plugin};

/// The plugin that does one thing wrong.
pub(crate) fn misbehaviour(bench: &Bench, argv: &[&str], more: &str) -> CallablePlugin {
    let program = env!("CARGO_BIN_EXE_flexcore-plugin-process-misbehaviour");
    let folder = bench.program("misbehaviour", program.as_ref(), "").folder.unwrap();
    let argv: Vec<&str> = ["program"].iter().chain(argv).copied().collect();
    let mut plugin = plugin("misbehaviour", &argv, &folder, more);
    // Other arguments are another plugin.
    let mark = format!("{argv:?} {more}");
    plugin.digest = flexcore_plugin_protocol::ContentDigest::of(mark.as_bytes());
    plugin
}

#[tokio::test]
async fn a_plugin_that_does_everything_right_is_none_of_these() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "");
    bench.host.initialize(&plugin).await.unwrap();
    let output = bench.run(&plugin, call("", json!([{"a": 1}]))).await;
    assert!(output.result.unwrap()["process"].is_string());
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_plugin_is_told_under_which_span_it_works() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "");
    let span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = flexcore_ports::TraceContext::parse(span);
    bench.run(&plugin, PluginCall { trace, ..call("", json!(null)) }).await;
    bench.log.wait_for(&format!("under {span}"), 1).await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn what_a_plugin_says_of_itself_is_held_against_its_manifest() {
    let bench = Bench::new().await;
    for (mode, code, says) in [
        ("other-name", "FC0643", "its name is `another`"),
        ("other-version", "FC0643", "its version is `9.9.9`"),
        ("arrow-only", "FC0643", "JSON lines"),
        ("unwell", "FC0644", "not well"),
        ("http-error", "FC0644", "HTTP status 404"),
        ("no-grpc", "FC0644", "not gRPC"),
        ("header-bomb", "FC0644", ""),
        ("garbage", "FC0644", ""),
        ("closes", "FC0644", "connection"),
        ("header-flood", "FC0644", ""),
        ("settings-flood", "FC0644", ""),
        ("reset-flood", "FC0644", ""),
        ("endless-headers", "FC0644", ""),
        ("frame-of-16-MiB", "FC0644", ""),
    ] {
        // Floods that break no rule are ended by time.
        let plugin = misbehaviour(&bench, &[mode], "[limits]\nstart = \"5s\"\n");
        let error = bench.host.initialize(&plugin).await.unwrap_err();
        assert_eq!(error.code, code, "{mode}: {error:?}");
        assert!(error.message.contains(says) && error.is_fault, "{mode}: {error:?}");
    }
    let plugin = misbehaviour(&bench, &["stateful"], "[pool]\nreuse_across_tenants = true\n");
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert!(error.code == "FC0643" && error.message.contains("stateless"), "{error:?}");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_given_up() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["half-open"], "[limits]\nstart = \"200ms\"\n");
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert_eq!((error.class, error.is_fault), (ErrorClass::Timeout, true), "{error:?}");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn lies_in_an_execution_are_named_and_the_process_is_replaced() {
    let bench = Bench::new().await;
    for (mode, code, says) in [
        ("wrong-number", "FC0644", "sent chunk 1 where 0 comes next"),
        ("wrong-checksum", "FC0644", "checksum 00000007"),
        ("wrong-count", "FC0644", "for 3 records, and it has 1"),
        ("too-much", "FC0644", "`output_bytes`"),
        ("empty-chunk", "FC0644", "no end"),
        ("no-json", "FC0644", "line 1 is no JSON"),
        ("deep-json", "FC0644", "recursion limit"),
        ("endless-credit", "FC0644", "more credit than can be counted"),
        ("no-kind", "FC0644", "no known kind"),
        ("no-message", "FC0644", "cannot be read"),
        ("no-text", "FC0644", "cannot be read"),
        ("length-of-4-GiB", "FC0644", "4294967295 bytes, and 16777216 are allowed"),
        ("long-message", "FC0644", "`max_frame`"),
        ("compressed", "FC0644", "compressed"),
        ("half-a-message", "FC0644", "half an answer"),
        ("half-an-answer", "FC0644", "half an answer"),
        ("no-status", "FC0644", "without saying how"),
        ("wrong-end", "FC0644", "says that it sent 5 chunks, and 0 came"),
        ("more-after-the-end", "FC0644", "after the end of its answer"),
        ("resets", "FC0644", ""),
        // A status that is no number is one that nobody knows.
        ("status-is-no-number", "FC0644", "with an error: unknown"),
        ("fails-with-status", "FC0644", "unavailable: not now"),
        ("exits", "FC0645", "exit code 0"),
    ] {
        let plugin = misbehaviour(&bench, &[mode], "");
        bench.host.initialize(&plugin).await.unwrap();
        let end = bench.execute(&plugin, call("", json!(null))).await;
        let error = end.outcome.unwrap_err();
        assert_eq!(error.code, code, "{mode}: {error:?}");
        assert!(error.message.contains(says) && error.is_fault, "{mode}: {error:?}");
        assert!(end.isolation.is_some());
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_plugin_that_never_answers_is_ended_in_time() {
    let bench = Bench::with(|options| {
        options.stop = Duration::from_millis(50);
        options.answer = Duration::from_millis(500);
    })
    .await;
    let plugin =
        misbehaviour(&bench, &["hangs"], "[limits]\nexecute = \"100ms\"\nstart = \"1m\"\n");
    bench.host.initialize(&plugin).await.unwrap();
    let error = bench.fail(&plugin, call("", json!(null))).await;
    assert_eq!((error.class, error.code), (ErrorClass::Timeout, "FC0647"), "{error:?}");
    let plugin = misbehaviour(&bench, &["never-initialized"], "[limits]\nstart = \"1m\"\n");
    let error = bench.fail(&plugin, call("", json!(null))).await;
    assert_eq!((error.class, error.is_fault), (ErrorClass::Timeout, true), "{error:?}");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_plugin_that_does_not_want_to_end_is_ended() {
    let bench = Bench::with(|options| options.stop = Duration::from_millis(50)).await;
    let plugin = misbehaviour(&bench, &["never-ends"], "");
    bench.run(&plugin, call("", json!(null))).await;
    bench.host.release(&plugin.digest).await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn what_a_plugin_prints_is_read_whatever_it_is() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["prints"], "");
    while !bench.log.has("stdout printed in two pieces") || !bench.log.has("stdout and no end") {
        bench.run(&plugin, call("", json!(null))).await;
    }
    let plugin = misbehaviour(&bench, &["second-line"], "");
    while !bench.log.has("stdout 1|1|unix|/somewhere/else|grpc") {
        bench.run(&plugin, call("", json!(null))).await;
    }
    let plugin = misbehaviour(&bench, &["prints-forever"], "");
    bench.run(&plugin, call("", json!(null))).await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn floods_of_output_hold_nobody_up() {
    let bench = Bench::new().await;
    let program = env!("CARGO_BIN_EXE_flexcore-plugin-process-misbehaviour");
    let folder = bench.program("misbehaviour", program.as_ref(), "").folder.unwrap();
    let script = "yes a flood of lines of some length, again and again and without an end >&2 &\nexec \"${0%/*}/program\" good";
    let folder_of_script = bench.script("misbehaviour", script, "").folder.unwrap();
    assert_eq!(folder, folder_of_script);
    let plugin = plugin("misbehaviour", &["script"], &folder, "");
    for _ in 0..20 {
        bench.run(&plugin, call("", json!(null))).await;
    }
    assert!(bench.log.has("stderr a flood"));
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_plugin_that_eats_memory_is_named_for_it() {
    let bench = Bench::new().await;
    let limits = "[limits]\nmemory = \"64MiB\"\nstart = \"1m\"\n";
    let script = "exec tail /dev/zero";
    let plugin = bench.script("hog", script, limits);
    let error = bench.host.initialize(&plugin).await.unwrap_err();
    assert!(error.class == ErrorClass::Oom || error.code == "FC0641", "{error:?}");
    bench.nothing_is_left().await;
}
