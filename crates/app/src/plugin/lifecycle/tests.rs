use std::{
    collections::VecDeque,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::{Effective, Grants, Manifest, PluginKind};
use flexcore_ports::{
    DiscoveredPlugin, GrantsError, LogSource, OperatorGrants, PluginDescription, PluginOutput,
    PluginSource, PluginStore, PluginStoreError, StoredPlugin,
};
use tokio::sync::Notify;

use super::*;
use crate::PluginBounds;

/// Ends calls as it is told, and counts.
#[derive(Debug, Default)]
struct Performer {
    /// How the next calls end; once nothing is left they go well.
    ends: Mutex<VecDeque<Result<(), PluginError>>>,
    starts: AtomicUsize,
    running: AtomicUsize,
    most: AtomicUsize,
    /// Calls wait for it if it is there.
    gate: Option<Notify>,
}

#[async_trait]
impl PluginHost for Performer {
    async fn initialize(&self, _: &CallablePlugin) -> Result<PluginDescription, PluginError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        Ok(PluginDescription { detail: "ready".into(), ..PluginDescription::default() })
    }

    async fn validate(
        &self,
        _: &CallablePlugin,
        _: &Value,
    ) -> Result<Vec<ConfigProblem>, PluginError> {
        Ok(vec![])
    }

    async fn schema(
        &self,
        _: &CallablePlugin,
        _: Option<&Value>,
    ) -> Result<PluginSchema, PluginError> {
        Ok(PluginSchema::default())
    }

    async fn execute(
        &self,
        _: &CallablePlugin,
        _: PluginCall,
        _: Arc<dyn AttemptLog>,
        _: CancellationToken,
    ) -> PluginEnd {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.notified().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        let end = self.ends.lock().unwrap().pop_front().unwrap_or(Ok(()));
        let outcome = end.map(|()| PluginOutput::default());
        PluginEnd { outcome, isolation: None, uses: vec![] }
    }

    async fn health(&self, _: &CallablePlugin) -> Result<(), PluginError> {
        Ok(())
    }

    async fn release(&self, _: &ContentDigest) {}
}

/// A store that nobody asks, and an operator who grants nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl PluginStore for Nothing {
    async fn install(&self, _: &PluginSource) -> Result<StoredPlugin, PluginStoreError> {
        unreachable!("nothing is installed")
    }

    async fn find(&self, _: &ContentDigest) -> Result<Option<StoredPlugin>, PluginStoreError> {
        Ok(None)
    }

    async fn find_program(&self, _: &Path) -> Result<Option<StoredPlugin>, PluginStoreError> {
        Ok(None)
    }

    async fn discover(&self, _: &Path) -> Result<Vec<DiscoveredPlugin>, PluginStoreError> {
        Ok(vec![])
    }

    async fn remove(&self, _: &ContentDigest) -> Result<(), PluginStoreError> {
        Ok(())
    }
}

impl OperatorGrants for Nothing {
    fn grants(&self) -> Result<Arc<Grants>, GrantsError> {
        Ok(Arc::default())
    }
}

#[derive(Debug)]
struct NoLog;

impl AttemptLog for NoLog {
    fn line(&self, _: LogSource, _: &str) {}
}

fn lifecycle(performer: &Arc<Performer>, calls: usize) -> Arc<PluginLifecycle> {
    let host: Arc<dyn PluginHost> = Arc::clone(performer) as _;
    Arc::new(PluginLifecycle::new(PluginPorts {
        store: Arc::new(Nothing),
        hosts: [(PluginKind::Process, host)].into(),
        built_in: vec![],
        grants: Arc::new(Nothing),
        project_root: "/srv".into(),
        bounds: PluginBounds { starts: 2, calls },
    }))
}

fn plugin(kind: &str) -> CallablePlugin {
    let text = format!(
        "manifest = 1\n[plugin]\nname = \"greeter\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\n\
         type = \"extractor\"\nentrypoint = [\"greeter\"]\n"
    );
    CallablePlugin {
        manifest: Arc::new(Manifest::parse("plugin.toml", &text).unwrap()),
        digest: ContentDigest::of(b"greeter"),
        folder: None,
        effective: Effective::default(),
        tenant: "default".into(),
    }
}

fn call() -> PluginCall {
    PluginCall {
        id: "pc_1".into(),
        idempotency_key: "pc_1".into(),
        attempt: 1,
        operation: String::new(),
        config: Value::Null,
        input: Value::Null,
        state: None,
        secrets: vec![],
        timeout: None,
        trace: None,
    }
}

fn failure(is_fault: bool) -> PluginError {
    PluginError {
        class: ErrorClass::Signal,
        code: "FC0640",
        message: "it ended".into(),
        is_fault,
        cancelled: false,
        stderr_tail: vec![],
    }
}

async fn execute(lifecycle: &PluginLifecycle) -> Asked<PluginEnd> {
    lifecycle.execute(&plugin("process"), call(), Arc::new(NoLog), CancellationToken::new()).await
}

#[tokio::test]
async fn many_first_calls_start_it_once_and_no_more_run_than_there_is_room() {
    let performer = Arc::new(Performer { gate: Some(Notify::new()), ..Performer::default() });
    let lifecycle = lifecycle(&performer, 3);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let lifecycle = Arc::clone(&lifecycle);
            tokio::spawn(async move { execute(&lifecycle).await })
        })
        .collect();
    let mut started = 0;
    for call in calls {
        while !call.is_finished() {
            performer.gate.as_ref().unwrap().notify_one();
            tokio::task::yield_now().await;
        }
        let asked = call.await.unwrap();
        assert!(asked.answer.outcome.is_ok());
        started += usize::from(asked.started.as_deref() == Some("ready"));
    }
    assert_eq!((started, performer.starts.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(performer.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn faults_wait_then_open_the_circuit_and_then_are_a_crash_loop() {
    let performer = Arc::new(Performer::default());
    let lifecycle = lifecycle(&performer, 8);
    performer.ends.lock().unwrap().extend((0..100).map(|_| Err(failure(true))));
    for _ in 0..5 {
        assert_eq!(execute(&lifecycle).await.answer.outcome.unwrap_err().code, "FC0640");
    }
    assert!(lifecycle.now() >= Duration::from_millis(50 + 100 + 200 + 400));
    let turned_away = execute(&lifecycle).await.answer.outcome.unwrap_err();
    assert_eq!(turned_away.code, error::CIRCUIT_OPEN);
    assert!(turned_away.message.contains("another 30 s"), "{turned_away}");
    let mut loops = vec![];
    for _ in 0..2 {
        lifecycle.time.wait(Duration::from_secs(31)).await;
        loops.push(execute(&lifecycle).await.crash_loop);
    }
    assert_eq!(loops[0], None);
    let reason = loops[1].as_deref().unwrap();
    assert_eq!(reason, "it failed 7 times in a row, the last time so: it ended");
}

#[tokio::test]
async fn a_plugin_that_refuses_what_it_is_asked_is_well() {
    let performer = Arc::new(Performer::default());
    let lifecycle = lifecycle(&performer, 8);
    performer.ends.lock().unwrap().extend((0..50).map(|_| Err(failure(false))));
    for _ in 0..50 {
        assert_eq!(execute(&lifecycle).await.answer.outcome.unwrap_err().code, "FC0640");
    }
    assert_eq!(lifecycle.now(), Duration::ZERO);
}

#[tokio::test]
async fn a_call_that_waits_can_be_cancelled() {
    let performer = Arc::new(Performer { gate: Some(Notify::new()), ..Performer::default() });
    let lifecycle = lifecycle(&performer, 1);
    let first = {
        let lifecycle = Arc::clone(&lifecycle);
        tokio::spawn(async move { execute(&lifecycle).await })
    };
    while performer.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let cancel = CancellationToken::new();
    cancel.cancel();
    let waiting = lifecycle.execute(&plugin("process"), call(), Arc::new(NoLog), cancel).await;
    assert!(waiting.answer.outcome.unwrap_err().cancelled);
    performer.gate.as_ref().unwrap().notify_one();
    assert!(first.await.unwrap().answer.outcome.is_ok());
}

#[tokio::test]
async fn a_kind_that_nobody_calls_is_named() {
    let lifecycle = lifecycle(&Arc::default(), 1);
    let cancel = CancellationToken::new();
    let asked = lifecycle.execute(&plugin("singer"), call(), Arc::new(NoLog), cancel).await;
    let error = asked.answer.outcome.unwrap_err();
    assert_eq!(error.code, error::NOT_CALLABLE);
    assert!(error.message.contains("of kind `singer`"), "{error}");
}

#[tokio::test]
async fn only_what_nobody_is_with_and_was_used_lately_is_looked_after() {
    let performer = Arc::new(Performer::default());
    let lifecycle = lifecycle(&performer, 1);
    assert_eq!(lifecycle.waiting().await.len(), 0);
    execute(&lifecycle).await;
    assert_eq!(lifecycle.waiting().await.len(), 1);
    lifecycle.time.wait(LATELY).await;
    assert_eq!(lifecycle.waiting().await.len(), 0);
    lifecycle.release(&ContentDigest::of(b"greeter")).await;
    execute(&lifecycle).await;
    assert_eq!(performer.starts.load(Ordering::SeqCst), 2);
}
