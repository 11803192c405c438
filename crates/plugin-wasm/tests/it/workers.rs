//! Processes of guests: what holds them, and what becomes of calls when they end.

use std::{fs, sync::Arc, time::Duration};

use flexcore_domain::{ErrorClass, IsolationPlace};
use flexcore_plugin_wasm::WasmHost;
use flexcore_ports::{AttemptLog, PluginHost as _};
use flexcore_sandbox::{SandboxMode, SandboxPolicy};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, ECHO, PATIENCE, Place, Wanted, call, component, nothing};

const SPIN: &str = "(loop $on (br $on)) (i32.const 0)";

/// The workers of this test process that are alive, by process id.
fn workers() -> Vec<i32> {
    let own = format!("wasm/{}/", std::process::id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_worker = |id: &i32| {
        let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let mark = format!("FLEXCORE_ATTEMPT={own}");
        let has = |bytes: &[u8], text: &str| {
            bytes.windows(text.len()).any(|part| part == text.as_bytes())
        };
        has(&read("environ"), &mark) && has(&read("cmdline"), "wasm-worker")
    };
    ids.filter(is_worker).collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

fn begin(
    bench: &Arc<Bench>,
    cancel: &CancellationToken,
) -> tokio::task::JoinHandle<flexcore_ports::PluginEnd> {
    let (bench, cancel) = (Arc::clone(bench), cancel.clone());
    tokio::spawn(async move {
        let log: Arc<dyn AttemptLog> = Arc::clone(&bench.log) as _;
        bench.host.execute(&bench.plugin, call(nothing(), Value::Null), log, cancel).await
    })
}

#[tokio::test]
async fn a_worker_that_is_killed_in_mid_call_ends_the_call_and_is_replaced() {
    let bench = Arc::new(Bench::new(Place::Worker, Wanted::component(component("", SPIN))).await);
    bench.host.initialize(&bench.plugin).await.unwrap();
    let before = workers();
    assert_eq!(before.len(), 1, "{before:?}");
    let running = begin(&bench, &CancellationToken::new());
    // The guest has begun when its worker computes.
    let time = |id: i32| {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields: Vec<u64> = text
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split(' ')
            .filter_map(|field| field.parse().ok())
            .collect();
        fields.get(9).copied().unwrap_or_default()
    };
    let start = time(before[0]);
    until("the guest computes", || time(before[0]) > start + 5).await;
    let killed = std::process::Command::new("kill").args(["-9", &before[0].to_string()]).status();
    assert!(killed.unwrap().success());
    let end = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    let error = end.outcome.unwrap_err();
    assert_eq!((error.code, error.class, error.is_fault), ("FC0657", ErrorClass::Signal, true));
    assert!(error.message.contains("SIGKILL"), "{error}");
    bench.host.health(&bench.plugin).await.unwrap();
    assert_ne!(workers(), before, "another one");
}

#[tokio::test]
async fn a_cancelled_call_ends_soon_and_its_worker_goes_on() {
    for place in Place::BOTH {
        let bench = Arc::new(Bench::new(place, Wanted::component(component("", SPIN))).await);
        bench.host.initialize(&bench.plugin).await.unwrap();
        let before = workers();
        let cancel = CancellationToken::new();
        let running = begin(&bench, &cancel);
        tokio::task::yield_now().await;
        cancel.cancel();
        let end = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
        assert!(end.outcome.unwrap_err().cancelled);
        bench.host.health(&bench.plugin).await.unwrap();
        assert_eq!(workers(), before);
    }
}

#[tokio::test]
async fn nothing_is_left_when_a_plugin_is_released() {
    let wanted = Wanted::component(component("", ECHO))
        .may(flexcore_plugin_protocol::CapabilityKind::FsWrite, "scratch");
    let bench = Bench::new(Place::Worker, wanted).await;
    bench.host.initialize(&bench.plugin).await.unwrap();
    assert_eq!(workers().len(), 1);
    bench.host.release(&bench.plugin.digest).await;
    until("the worker is gone", || workers().is_empty()).await;
    let folder = bench.folder.path().join("state/wasm-run");
    until("its folder is gone", || fs::read_dir(&folder).unwrap().next().is_none()).await;
    assert_eq!(bench.call(nothing(), json!(1)).await.outcome.unwrap().result, Some(json!(1)));
}

#[tokio::test]
async fn a_worker_sees_neither_network_nor_state_folder() {
    let bench = Bench::new(Place::Worker, Wanted::component(component("", ECHO))).await;
    let end = bench.call(nothing(), json!(1)).await;
    let held = end.isolation.unwrap();
    let state = |name: &str| {
        let control = held.controls.iter().find(|control| control.name == name);
        control.map(|control| control.state.clone()).unwrap_or_default()
    };
    for control in ["mount_ns", "net_ns", "root", "no_new_privs", "seccomp"] {
        assert_eq!(state(control), "enforced", "{control}: {held:?}");
    }
    let [worker] = workers()[..] else { panic!("one worker") };
    let root = format!("/proc/{worker}/root");
    let key = bench.folder.path().join("state/wasm-cache.key");
    assert!(key.exists());
    assert!(!std::path::Path::new(&format!("{root}{}", key.display())).exists());
    let interfaces = fs::read_to_string(format!("/proc/{worker}/net/dev")).unwrap();
    assert_eq!(
        interfaces.lines().skip(2).filter(|line| !line.trim().starts_with("lo:")).count(),
        0
    );
}

#[tokio::test]
async fn without_a_jail_it_is_said_that_there_is_none() {
    let wanted = Wanted::component(component("", ECHO));
    let bench = Bench::with(Place::Worker, wanted, |options| {
        options.policy = SandboxPolicy { mode: SandboxMode::Off, require: vec![] };
    })
    .await;
    let end = bench.call(nothing(), json!(1)).await;
    assert_eq!(end.outcome.unwrap().result, Some(json!(1)));
    assert_eq!(end.isolation.unwrap().place, IsolationPlace::Unconfined);
}

#[tokio::test]
async fn only_who_is_trusted_runs_in_this_process() {
    // Its manifest asks for it, and the operator did not say so.
    let wanted = Wanted::component(component("", ECHO));
    let bench = Bench::with(Place::Here, wanted, |options| options.in_process.clear()).await;
    let end = bench.call(nothing(), json!(1)).await;
    assert!(matches!(end.isolation.unwrap().place, IsolationPlace::Jail { .. }));
}

#[tokio::test]
async fn tenants_and_rights_have_workers_of_their_own() {
    let bench = Bench::new(Place::Worker, Wanted::component(component("", ECHO))).await;
    let host: &WasmHost = &bench.host;
    host.health(&bench.plugin).await.unwrap();
    let mut other = bench.plugin.clone();
    other.tenant = "other".into();
    host.health(&other).await.unwrap();
    assert_eq!(workers().len(), 2);
    host.health(&bench.plugin).await.unwrap();
    assert_eq!(workers().len(), 2);
}

#[tokio::test]
async fn a_worker_that_cannot_be_started_is_a_named_error() {
    let wanted = Wanted::component(component("", ECHO));
    let bench = Bench::with(Place::Worker, wanted, |options| {
        options.executable = "/usr/bin/false".into();
    })
    .await;
    let error = bench.host.initialize(&bench.plugin).await.unwrap_err();
    assert_eq!(error.code, "FC0657", "{error}");
    assert!(error.message.contains("exit code 1"), "{error}");
}
