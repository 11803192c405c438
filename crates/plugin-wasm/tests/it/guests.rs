//! The examples, made by the toolchains of their languages: C, Python and JavaScript.

use std::{fs, path::PathBuf};

use flexcore_plugin_protocol::CapabilityKind;
use flexcore_ports::{PluginCall, PluginHost as _};
use serde_json::json;

use crate::bench::{Bench, Place, Wanted, call, nothing, secret};

/// A guest that `make setup` builds.
fn guest(name: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../.cache/guests")
        .join(name)
        .with_extension("wasm");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}; run `make setup`", file.display()))
}

/// A host whose compiled code is kept from one run of the tests to the next: compiling an interpreter
/// takes long.
async fn bench(place: Place, wanted: Wanted) -> Bench {
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/guests/compiled");
    fs::create_dir_all(&kept).unwrap();
    Bench::with(place, wanted, |options| options.state_folder = kept.canonicalize().unwrap()).await
}

#[tokio::test]
async fn a_module_in_c_counts_letters() {
    for place in Place::BOTH {
        let bench = bench(place, Wanted::of("wasm-extism", "letters", guest("letters"))).await;
        bench.host.initialize(&bench.plugin).await.unwrap();
        let output = bench.call(nothing(), json!("Hello World")).await.outcome.unwrap();
        assert_eq!(output.result, Some(json!({"letters": 10, "vowels": 3})));
        let output =
            bench.call(json!({"vowels": "lo"}), json!("Hello World")).await.outcome.unwrap();
        assert_eq!(output.result, Some(json!({"letters": 10, "vowels": 5})));
        assert_eq!(bench.lines(), ["counted", "counted"]);
    }
}

#[tokio::test]
async fn a_component_in_javascript_gives_titles() {
    let bench = bench(Place::Worker, Wanted::of("wasm-component", "titles", guest("titles"))).await;
    bench.host.initialize(&bench.plugin).await.unwrap();
    let config = json!({"template": "{first} {last}"});
    let records = json!([{"first": "Ada", "last": "Lovelace"}]);
    let output = bench.call(config, records).await.outcome.unwrap();
    let expected = json!({"first": "Ada", "last": "Lovelace", "title": "Ada Lovelace"});
    assert_eq!(output.records, [("input".to_owned(), vec![expected])]);
    assert_eq!(bench.lines(), ["1 titles"]);
    let problems = bench.host.validate(&bench.plugin, &nothing()).await.unwrap();
    assert_eq!(problems[0].pointer, "/template");
    let error = bench.call(json!({"template": "x"}), json!(1)).await.outcome.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), ("FC0656", "there are no records to work on"));
}

#[tokio::test]
async fn a_component_in_python_hides_values() {
    let wanted = Wanted::of("wasm-component", "pseudonymize", guest("pseudonymize"))
        .may(CapabilityKind::Secrets, "pseudonym_key");
    let bench = bench(Place::Worker, wanted).await;
    bench.host.initialize(&bench.plugin).await.unwrap();
    let config = json!({"fields": ["email"], "key": "pseudonym_key"});
    let records = json!([{"n": 1, "email": "a@b"}, {"n": 2, "email": "a@b"}, {"n": 3}]);
    let secrets = vec![secret("pseudonym_key", "hunter2")];
    let mut state = None;
    for round in 1..=2 {
        let call =
            PluginCall { state, secrets: secrets.clone(), ..call(config.clone(), records.clone()) };
        let end = bench.carry_out(call).await;
        let output = end.outcome.unwrap_or_else(|error| panic!("{error}: {:?}", bench.lines()));
        let [(stream, values)] = &output.records[..] else { panic!("one data stream") };
        assert_eq!((stream.as_str(), values.len()), ("input", 3));
        assert_eq!(values[0]["email"], values[1]["email"]);
        assert_eq!(values[0]["email"].as_str().map(str::len), Some(16));
        assert_eq!(output.state, Some(json!({"records": (3 * round).to_string()}).to_string()));
        assert_eq!(end.uses[0].capability, "secrets pseudonym_key");
        state = output.state;
    }
    let problems = bench.host.validate(&bench.plugin, &nothing()).await.unwrap();
    assert_eq!(problems.len(), 2);
}
