//! Compiled code that is kept.

use std::{fs, path::PathBuf};

use flexcore_ports::PluginHost as _;
use serde_json::json;

use crate::bench::{Bench, ECHO, Place, Wanted, component, nothing};

fn code_of(bench: &Bench) -> PathBuf {
    let folder = bench.folder.path().join("state/wasm-cache");
    let mut files = fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "one guest, one file");
    file
}

#[tokio::test]
async fn code_is_kept_and_used_again() {
    for place in Place::BOTH {
        let bench = Bench::new(place, Wanted::component(component("", ECHO))).await;
        bench.host.initialize(&bench.plugin).await.unwrap();
        let before = fs::metadata(code_of(&bench)).unwrap().modified().unwrap();
        bench.host.release(&bench.plugin.digest).await;
        // Without its source it can only come from there.
        fs::remove_dir_all(bench.plugin.folder.as_ref().unwrap()).unwrap();
        let output = bench.call(nothing(), json!(1)).await.outcome.unwrap();
        assert_eq!(output.result, Some(json!(1)));
        assert_eq!(fs::metadata(code_of(&bench)).unwrap().modified().unwrap(), before);
    }
}

#[tokio::test]
async fn code_of_somebody_else_is_never_loaded() {
    let wasm = component("", ECHO);
    for place in Place::BOTH {
        // Right code of another host, which has another key.
        let other = Bench::new(place, Wanted::component(wasm.clone())).await;
        other.host.initialize(&other.plugin).await.unwrap();
        let foreign = fs::read(code_of(&other)).unwrap();

        let bench = Bench::new(place, Wanted::component(wasm.clone())).await;
        bench.host.initialize(&bench.plugin).await.unwrap();
        let ours = code_of(&bench);
        let good = fs::read(&ours).unwrap();
        let mut changed = good.clone();
        changed[good.len() / 2] ^= 1;
        for bad in
            [foreign.clone(), changed, good[..good.len() / 2].to_vec(), b"\x7fELF".to_vec(), vec![]]
        {
            bench.host.release(&bench.plugin.digest).await;
            fs::remove_file(&ours).unwrap();
            fs::write(&ours, &bad).unwrap();
            let output = bench.call(nothing(), json!(1)).await.outcome.unwrap();
            assert_eq!(output.result, Some(json!(1)));
            assert_ne!(fs::read(&ours).unwrap(), bad, "it was compiled again");
        }
        // Nor is it where it cannot be compiled again.
        bench.host.release(&bench.plugin.digest).await;
        fs::remove_file(&ours).unwrap();
        fs::write(&ours, foreign).unwrap();
        fs::remove_dir_all(bench.plugin.folder.as_ref().unwrap()).unwrap();
        let error = bench.call(nothing(), json!(1)).await.outcome.unwrap_err();
        assert_eq!(error.code, "FC0650", "{error}");
    }
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_a_named_error() {
    let bench = Bench::new(Place::Worker, Wanted::component(component("", ECHO))).await;
    fs::write(bench.folder.path().join("state/wasm-cache"), "in the way").unwrap();
    let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
    assert_eq!((error.code, error.is_fault), ("FC0659", false));
    assert!(error.message.contains("wasm-cache"), "{error}");
}
