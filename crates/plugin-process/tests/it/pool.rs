//! Processes that are kept ready.

use std::{collections::HashSet, sync::Arc, time::Duration};

use flexcore_domain::ErrorClass;
use flexcore_ports::{CallablePlugin, PluginCall, PluginHost as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    bad_answers::misbehaviour,
    bench::{Bench, call},
};

async fn process(bench: &Bench, plugin: &CallablePlugin) -> Value {
    bench.run(plugin, call("", json!(null))).await.result.unwrap()["process"].clone()
}

/// Calls that last until they are cancelled, each in a task of its own.
struct Waiting {
    calls: JoinSet<Result<Value, flexcore_ports::PluginError>>,
    cancel: CancellationToken,
}

impl Waiting {
    fn start(bench: &Arc<Bench>, plugin: &CallablePlugin, count: usize) -> Self {
        let cancel = CancellationToken::new();
        let mut calls = JoinSet::new();
        for _ in 0..count {
            let (bench, plugin, cancel) = (Arc::clone(bench), plugin.clone(), cancel.clone());
            calls.spawn(async move {
                let end = bench.execute_until(&plugin, call("wait", json!(null)), cancel).await;
                end.outcome.map(|output| output.result.unwrap()["process"].clone())
            });
        }
        Self { calls, cancel }
    }

    /// Has them end; the processes that they ran in.
    async fn end(self) -> Vec<Value> {
        self.cancel.cancel();
        self.calls.join_all().await.into_iter().map(Result::unwrap).collect()
    }
}

/// How many processes of plugins there are.
fn running(bench: &Bench) -> usize {
    std::fs::read_dir(bench.folder.path().join("run")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn the_one_that_worked_last_works_next() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmin_idle = 3\nmax = 3\n");
    bench.host.initialize(&plugin).await.unwrap();
    assert_eq!(running(&bench), 3);
    let first = process(&bench, &plugin).await;
    for _ in 0..5 {
        assert_eq!(process(&bench, &plugin).await, first);
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_process_ends_after_as_many_calls_as_its_manifest_says() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmax = 2\nmax_uses = 2\n");
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(process(&bench, &plugin).await);
    }
    let distinct: HashSet<String> = seen.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 3, "{seen:?}");
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmax_age = \"1ms\"\n");
    let first = process(&bench, &plugin).await;
    while process(&bench, &plugin).await == first {}
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn tenants_share_a_process_only_where_it_keeps_nothing() {
    let bench = Bench::new().await;
    for (more, shared) in [("", false), ("[pool]\nreuse_across_tenants = true\n", true)] {
        let one = misbehaviour(&bench, &["good"], more);
        let two = CallablePlugin { tenant: "other".to_owned(), ..one.clone() };
        assert_eq!(process(&bench, &one).await == process(&bench, &two).await, shared);
    }
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn calls_share_a_process_as_far_as_it_allows() {
    let bench = Arc::new(Bench::new().await);
    let plugin = misbehaviour(&bench, &["good", "4"], "[pool]\nmin_idle = 1\nmax = 2\n");
    bench.host.initialize(&plugin).await.unwrap();
    // Settings first, so that no call waits for them.
    process(&bench, &plugin).await;
    let waiting = Waiting::start(&bench, &plugin, 8);
    bench.log.wait_for("waits", 8).await;
    let processes = waiting.end().await;
    let distinct: HashSet<String> = processes.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 2, "{processes:?}");
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn calls_wait_for_a_process_and_not_for_ever() {
    let bench = Arc::new(Bench::with(|options| options.max_waiting = 1).await);
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmax = 1\n");
    process(&bench, &plugin).await;
    let waiting = Waiting::start(&bench, &plugin, 1);
    bench.log.wait_for("waits", 1).await;
    let late = |timeout| PluginCall { timeout: Some(timeout), ..call("", json!(null)) };
    let short = Duration::from_millis(50);
    let error = bench.fail(&plugin, late(short)).await;
    assert_eq!((error.class, error.code, error.is_fault), (ErrorClass::Timeout, "FC0646", false));
    assert!(error.message.contains("all 1 processes"), "{error:?}");
    let patient = {
        let (bench, plugin) = (Arc::clone(&bench), plugin.clone());
        // Whoever comes second is refused; this one comes again until it is the first.
        tokio::spawn(async move {
            while bench.execute(&plugin, call("", json!(null))).await.outcome.is_err() {
                tokio::task::yield_now().await;
            }
        })
    };
    let error = loop {
        let error = bench.fail(&plugin, late(short)).await;
        if error.message.contains("too many calls wait") {
            break error;
        }
    };
    assert_eq!(error.code, "FC0646");
    waiting.end().await;
    patient.await.unwrap();
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn one_that_died_while_it_waited_is_replaced_unseen() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmin_idle = 1\nmax = 2\n");
    let first = process(&bench, &plugin).await;
    let mark = format!("plugin/misbehaviour/{}", std::process::id());
    let found = flexcore_sandbox::processes_of_attempt(&mark);
    assert!(!found.is_empty());
    for process in found {
        let process = rustix::process::Pid::from_raw(process.cast_signed()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    }
    while running(&bench) > 0 {
        tokio::task::yield_now().await;
    }
    assert_ne!(first, process(&bench, &plugin).await);
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn a_released_plugin_is_gone_and_can_be_called_again() {
    let bench = Bench::new().await;
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmin_idle = 2\n");
    bench.host.initialize(&plugin).await.unwrap();
    bench.host.release(&plugin.digest).await;
    assert_eq!(running(&bench), 0);
    process(&bench, &plugin).await;
    bench.nothing_is_left().await;
}

#[tokio::test]
async fn processes_that_nobody_needs_go_and_those_that_are_wanted_come_back() {
    let bench = Arc::new(
        Bench::with(|options| {
            options.health_interval = Duration::from_millis(20);
            options.keep_idle = Duration::from_millis(50);
        })
        .await,
    );
    let plugin = misbehaviour(&bench, &["good"], "[pool]\nmin_idle = 1\nmax = 3\n");
    let waiting = Waiting::start(&bench, &plugin, 3);
    bench.log.wait_for("waits", 3).await;
    waiting.end().await;
    while running(&bench) > 1 {
        tokio::task::yield_now().await;
    }
    bench.nothing_is_left().await;
}
