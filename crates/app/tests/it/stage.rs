//! A stage for the runner: an embedded store in a temporary folder, steps that do what the test
//! says, and a store that dies on command.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_api::{ExecutePipeline, ExecutionView, GetExecution, GetPipeline, PipelineView};
use flexcore_app::{
    CommandBus, Ports, QueryBus, RequestContext, RunError, RunObserver, Runner, RunnerOptions,
    Services, Unobserved, save_pipeline,
};
use flexcore_artifacts::{FolderArtifacts, FolderLogs, LogOptions};
use flexcore_domain::{ExecutionId, ExecutionStatus, StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::{
    Append, EventContext, EventData, EventId, Hash, RecordedEvent, StreamName, Timestamp,
};
use flexcore_pipeline_file::{load_pipeline, load_project};
use flexcore_ports::{
    AppendError, Appended, AttemptDeadline, Clock, Coordinator, CoordinatorError, EventStore, Ids,
    Lease, LeaseAnswer, LeaseHolder, LogHead, LogVerifier, NoRandomness, ReadFilter, Secrets,
    Snapshots, StoreError,
    attempt::{
        AttemptContext, AttemptEnd, AttemptError, AttemptObserver, AttemptOutcome, CommandProgram,
        CommandRunner, CommandSettings, Progress, SyncRunner, SyncSettings,
    },
    lease_margin,
};
use flexcore_secrets::{EnvSecrets, ProvidedSecrets, SecretMask};
use flexcore_store_sqlite::{OpenMode, SqliteStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A clock that goes on by a millisecond whenever somebody looks at it.
#[derive(Debug, Default)]
pub(crate) struct StageClock(AtomicI64);

impl Clock for StageClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000 + self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

/// Ids in order.
#[derive(Debug, Default)]
pub(crate) struct StageIds(AtomicU64);

impl Ids for StageIds {
    fn next(&self) -> Uuid {
        let number = u128::from(self.0.fetch_add(1, Ordering::Relaxed));
        Uuid::from_u128((0x7000_u128 << 64) | (0x8000_u128 << 48) | (number + 1))
    }

    fn secret(&self) -> Result<[u8; 32], NoRandomness> {
        Ok([u8::try_from(self.0.fetch_add(1, Ordering::Relaxed) % 251).unwrap(); 32])
    }
}

/// Runs `argv: [complete|fail|wait|echo, …]` without any process: what is tested here is the
/// runner, and the processes have tests of their own.
#[derive(Debug, Default)]
pub(crate) struct Performer {
    /// Every attempt that began: step and attempt.
    pub(crate) began: Mutex<Vec<(String, u32)>>,
    /// Every attempt that did its work.
    pub(crate) completed: Mutex<Vec<String>>,
}

#[async_trait]
impl CommandRunner for Performer {
    async fn run(
        &self,
        context: AttemptContext,
        settings: CommandSettings,
        cancel: CancellationToken,
    ) -> AttemptEnd {
        let step = context.step.to_string();
        self.began.lock().unwrap().push((step.clone(), context.attempt));
        let CommandProgram::Argv(argv) = settings.program else { unreachable!("argv only") };
        AttemptEnd::nothing_ran(match argv[0].as_str() {
            "complete" => {
                self.completed.lock().unwrap().push(step);
                AttemptOutcome::Completed { output: json!({ "said": argv.get(1) }) }
            }
            "fail_until" if context.attempt >= argv[1].parse().unwrap() => {
                self.completed.lock().unwrap().push(step);
                AttemptOutcome::Completed { output: Value::Null }
            }
            "wait" => {
                cancel.cancelled().await;
                AttemptOutcome::Cancelled
            }
            _ => AttemptOutcome::Failed(AttemptError {
                class: flexcore_domain::ErrorClass::ExitCode,
                message: "it was told to fail".into(),
                exit_code: Some(1),
                stderr_tail: vec![],
            }),
        })
    }
}

#[async_trait]
impl SyncRunner for Performer {
    async fn run(
        &self,
        _: AttemptContext,
        _: SyncSettings,
        observer: Arc<dyn AttemptObserver>,
        _: CancellationToken,
    ) -> AttemptEnd {
        observer.progress(&Progress { records: 2, bytes: 20, streams: vec![] });
        for n in 1..=2 {
            let line = format!(r#"{{"bookmarks":{{"orders":{{"id":{n}}}}}}}"#);
            if observer.state_confirmed(line.as_bytes()).await.is_err() {
                return AttemptEnd::nothing_ran(AttemptOutcome::Cancelled);
            }
        }
        let output =
            json!({ "records": 2, "bytes": 20, "rejected": 0, "streams": { "orders": {} } });
        AttemptEnd::nothing_ran(AttemptOutcome::Completed { output })
    }

    async fn discover(&self, _: AttemptContext, _: SyncSettings) -> Result<Value, AttemptError> {
        Ok(json!({ "streams": [] }))
    }
}

/// A store that dies after a number of appends, as the disk of a machine does.
struct DyingStore {
    inner: Arc<dyn EventStore>,
    left: AtomicI64,
}

#[async_trait]
impl EventStore for DyingStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Unavailable("the machine is off".into()).into());
        }
        self.inner.append(append).await
    }

    async fn read_stream(
        &self,
        stream: &StreamName,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_stream(stream, from_version, limit).await
    }

    async fn read_all(
        &self,
        after: u64,
        limit: usize,
        filter: &ReadFilter,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_all(after, limit, filter).await
    }

    async fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        self.inner.position_at(time).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.inner.head().await
    }

    async fn batch_hash_at(&self, position: u64) -> Result<Option<Hash>, StoreError> {
        self.inner.batch_hash_at(position).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.inner.appended()
    }
}

/// Watches nothing, or cancels when a step has begun.
#[derive(Default)]
pub(crate) struct Watcher {
    pub(crate) on_start: Option<(String, CancellationToken)>,
}

impl RunObserver for Watcher {
    fn recorded(&self, event: &ExecutionEvent) {
        if let (ExecutionEvent::StepStarted { step, .. }, Some((wanted, token))) =
            (event, &self.on_start)
            && step.as_str() == wanted
        {
            token.cancel();
        }
    }

    fn progress(&self, _: &StepId, _: &Progress) {}
}

/// An authority over leases that does what the test says.
#[derive(Debug, Default)]
pub(crate) struct StageCoordinator {
    /// Somebody else who has every lease.
    pub(crate) rival: Mutex<Option<LeaseHolder>>,
    /// Whether it cannot be asked.
    pub(crate) is_away: AtomicBool,
    held: Mutex<BTreeSet<String>>,
    token: AtomicU64,
}

impl StageCoordinator {
    /// Another process has every lease from now on.
    pub(crate) fn give_to_rival(&self) {
        let expires_in = Duration::from_secs(3);
        *self.rival.lock().unwrap() = Some(LeaseHolder { node: "rival:7".into(), expires_in });
        self.held.lock().unwrap().clear();
    }

    /// Leases that nobody renewed have run out.
    pub(crate) fn forget(&self) {
        self.held.lock().unwrap().clear();
    }

    pub(crate) fn is_held(&self) -> bool {
        !self.held.lock().unwrap().is_empty()
    }

    fn must_be_there(&self) -> Result<(), CoordinatorError> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(CoordinatorError { reason: "the authority is away".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl Coordinator for StageCoordinator {
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<LeaseAnswer, CoordinatorError> {
        self.must_be_there()?;
        if let Some(rival) = self.rival.lock().unwrap().clone() {
            return Ok(LeaseAnswer::Held(rival));
        }
        if self.held.lock().unwrap().insert(name.to_owned()) {
            self.token.fetch_add(1, Ordering::SeqCst);
        }
        let token = self.token.load(Ordering::SeqCst);
        let deadline = Instant::now() + ttl.saturating_sub(lease_margin(ttl));
        Ok(LeaseAnswer::Granted(Lease { name: name.to_owned(), token, deadline }))
    }

    async fn release(&self, lease: &Lease) -> Result<(), CoordinatorError> {
        self.must_be_there()?;
        self.held.lock().unwrap().remove(&lease.name);
        Ok(())
    }

    async fn holder(&self, name: &str) -> Result<Option<LeaseHolder>, CoordinatorError> {
        self.must_be_there()?;
        if let Some(rival) = self.rival.lock().unwrap().clone() {
            return Ok(Some(rival));
        }
        let held = self.held.lock().unwrap().contains(name);
        Ok(held.then(|| LeaseHolder { node: "stage".into(), expires_in: Duration::MAX }))
    }
}

/// Remembers what it was told; there are no processes to end.
#[derive(Debug, Default)]
pub(crate) struct NotedDeadline(pub(crate) Mutex<Option<Instant>>);

#[async_trait]
impl AttemptDeadline for NotedDeadline {
    async fn set(&self, deadline: Option<Instant>) {
        *self.0.lock().unwrap() = deadline;
    }
}

pub(crate) struct Stage {
    folder: TempDir,
    store: SqliteStore,
    /// In place of the store's own.
    pub(crate) snapshots: Option<Arc<dyn Snapshots>>,
    ids: Arc<StageIds>,
    pub(crate) coordinator: Arc<StageCoordinator>,
    pub(crate) deadline: Arc<NotedDeadline>,
    pub(crate) lease_ttl: Duration,
    pub(crate) performer: Arc<Performer>,
    pub(crate) context: RequestContext,
}

/// One life of a process: services, buses and a runner.
pub(crate) struct Life {
    pub(crate) services: Arc<Services>,
    pub(crate) commands: CommandBus,
    pub(crate) queries: QueryBus,
    pub(crate) runner: Runner,
}

impl Stage {
    pub(crate) fn new(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("flexcore.yaml"), "flexcore: 1\n").unwrap();
        std::fs::write(folder.path().join("pipeline.yaml"), pipeline).unwrap();
        let mode = OpenMode::Writer { purpose: "test".into() };
        let state = folder.path().join(".flexcore");
        let store = SqliteStore::open(&state, mode, Arc::new(StageClock::default())).unwrap();
        Self {
            folder,
            store,
            snapshots: None,
            ids: Arc::default(),
            coordinator: Arc::default(),
            deadline: Arc::default(),
            lease_ttl: Duration::from_mins(10),
            performer: Arc::default(),
            context: RequestContext::local("tester"),
        }
    }

    /// A process that lives for `appends` appends.
    pub(crate) fn life(&self, appends: i64) -> Life {
        let state = self.folder.path().join(".flexcore");
        let secrets: Arc<dyn Secrets> = Arc::new(ProvidedSecrets::new(
            vec![Box::new(EnvSecrets::new(
                "SECRET_",
                [("SECRET_TOKEN".into(), "hush-hush".into())],
            ))],
            Arc::new(SecretMask::default()),
        ));
        let clock = Arc::new(StageClock::default());
        let ports = Ports {
            store: Arc::new(DyingStore {
                inner: self.store.events(),
                left: AtomicI64::new(appends),
            }),
            verifier: Arc::new(self.store.verifier()),
            views: self.store.views(),
            rebuild: Arc::new(self.store.views_rebuilder()),
            snapshots: self.snapshots.clone().unwrap_or_else(|| self.stored_snapshots()),
            clock: clock.clone(),
            ids: self.ids.clone(),
            logs: Arc::new(FolderLogs::new(
                state.join("logs"),
                secrets.mask(),
                clock,
                LogOptions::default(),
            )),
            artifacts: Arc::new(FolderArtifacts::new(state.join("artifacts"))),
            coordinator: self.coordinator.clone(),
            secrets,
            host_environment: Arc::new(BTreeMap::new()),
        };
        let services = Arc::new(Services::writing(ports));
        let commands = CommandBus::new(Arc::clone(&services), Arc::new(Unobserved));
        let queries = QueryBus::new(Arc::clone(&services), Arc::new(Unobserved));
        let options = RunnerOptions {
            node: "stage".into(),
            project_root: self.folder.path().to_owned(),
            work_folder: state.join("work"),
            executable: "/proc/self/exe".into(),
            grace: Duration::from_secs(1),
            lease_ttl: self.lease_ttl,
        };
        let runner = Runner::new(
            Arc::clone(&services),
            self.performer.clone(),
            self.performer.clone(),
            self.deadline.clone(),
            options,
        );
        Life { services, commands, queries, runner }
    }

    /// Registers the pipeline and asks for an execution.
    pub(crate) async fn order(&self, life: &Life) -> ExecutionId {
        let project = load_project(self.folder.path()).unwrap();
        let file = self.folder.path().join("pipeline.yaml");
        let loaded = load_pipeline(&file, &project, &["tap-csv", "target-jsonl"]).unwrap();
        let definition = &loaded.definition;
        save_pipeline(&life.commands, &life.services, &self.context, definition).await.unwrap();
        let execute = ExecutePipeline {
            pipeline: definition.name.to_string(),
            run_key: Some("once".into()),
            ..ExecutePipeline::default()
        };
        let accepted = life.commands.execute(&self.context, execute).await.unwrap();
        accepted.execution.parse().unwrap()
    }

    pub(crate) async fn run(
        &self,
        life: &Life,
        execution: ExecutionId,
    ) -> Result<ExecutionStatus, RunError> {
        let watcher = Arc::new(Watcher::default());
        life.runner.run(&self.context, execution, watcher, CancellationToken::new()).await
    }

    pub(crate) async fn show(&self, life: &Life, execution: ExecutionId) -> ExecutionView {
        let query = GetExecution { execution: execution.to_string() };
        life.queries.ask(&self.context, query).await.unwrap()
    }

    /// The pipeline `orders` as the tenant sees it.
    pub(crate) async fn show_pipeline(&self, life: &Life) -> PipelineView {
        let query = GetPipeline { name: "orders".to_owned(), version: None };
        life.queries.ask(&self.context, query).await.unwrap()
    }

    /// The store's own snapshots.
    pub(crate) fn stored_snapshots(&self) -> Arc<dyn Snapshots> {
        Arc::new(self.store.snapshots())
    }

    /// The whole log.
    pub(crate) async fn events(&self) -> Vec<RecordedEvent> {
        self.store.events().read_all(0, 10_000, &ReadFilter::default()).await.unwrap()
    }

    /// Adds an event that no program can read; its position.
    pub(crate) async fn append_unreadable(&self, stream: &str, type_name: &str) -> u64 {
        let event = EventData {
            id: EventId(self.ids.next()),
            type_name: type_name.into(),
            schema_version: 1,
            occurred_at: Timestamp::EPOCH,
            context: EventContext::json("default", "tester"),
            payload: b"{".to_vec(),
        };
        let append = Append::to(stream.parse().unwrap(), 0, vec![event]);
        self.store.events().append(append).await.unwrap().last_position
    }

    /// The end of the log, and that it is whole.
    pub(crate) async fn verified(&self) -> u64 {
        let report = self.store.verifier().verify(&[]).await.unwrap();
        assert_eq!(report.fault, None);
        report.events
    }
}
