//! What the tests share: a launcher, scripts as taps and targets, and ears for everything said.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use flexcore_domain::ExecutionId;
use flexcore_ports::{
    AttemptLog, LogSource,
    attempt::{
        AttemptContext, AttemptEnd, AttemptError, AttemptObserver, AttemptOutcome, AttemptRights,
        BookmarkRefused, PluginSettings, Progress, SyncRunner as _, SyncSettings, Unmatched,
    },
};
use flexcore_sandbox::{
    IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions, ProjectJailer,
    ProjectJailerOptions, processes_of_attempt,
};
use flexcore_sync::{PumpSyncRunner, SyncOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a loaded machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const SCHEMA: &str =
    r#"{"type":"SCHEMA","stream":"orders","schema":{},"key_properties":[]}"#;
pub(crate) const RECORD: &str = r#"{"type":"RECORD","stream":"orders","record":{"id":1}}"#;
pub(crate) const STATE: &str = r#"{"type":"STATE","value":{"bookmarks":{"orders":{"id":1}}}}"#;

/// A target that keeps its input in `out` and echoes the value of each STATE.
pub(crate) const TARGET: &str = r#"
while IFS= read -r line; do
    printf '%s\n' "$line" >> out
    case $line in *'"STATE"'*) line=${line#*\"value\":}; printf '%s\n' "${line%\}}";; esac
done
"#;

pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) launcher: Launcher,
    pub(crate) runner: PumpSyncRunner,
    pub(crate) log: Arc<Ears>,
    pub(crate) observer: Arc<Ears>,
    pub(crate) cancel: CancellationToken,
    pub(crate) context: AttemptContext,
    pub(crate) settings: SyncSettings,
}

/// Hears the log and the observations of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    lines: Mutex<Vec<(LogSource, String)>>,
    states: Mutex<Vec<String>>,
    schemas: Mutex<Vec<(String, String)>>,
    progress: Mutex<Vec<Progress>>,
    /// States and schemas are refused with this.
    pub(crate) refusal: Mutex<Option<String>>,
    said: Notify,
}

impl Stage {
    pub(crate) async fn new(tap: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launcher = Launcher::start(LauncherOptions {
            executable: env!("CARGO_BIN_EXE_flexcore-sync-launcher").into(),
            lock_path: folder.path().join("launcher.lock"),
            lock_patience: PATIENCE,
            environment: Vec::new(),
            isolation: IsolationPolicy::default(),
        })
        .await
        .unwrap();
        let memory = folder.path().join("memory");
        fs::create_dir(&memory).unwrap();
        let runner =
            PumpSyncRunner::new(jailer(&launcher), SyncOptions { runtime_folder: Some(memory) });
        let log = Arc::new(Ears::default());
        let context = context(&folder, Arc::clone(&log));
        let settings = settings(&folder, tap, target);
        let (observer, cancel) = (Arc::new(Ears::default()), CancellationToken::new());
        Self { folder, launcher, runner, log, observer, cancel, context, settings }
    }

    /// Runs the attempt to its end; no process of it may be alive then, and no private file left.
    pub(crate) async fn run(&self) -> AttemptOutcome {
        self.run_to_end().await.outcome
    }

    /// The same with everything that is known of the attempt.
    pub(crate) async fn run_to_end(&self) -> AttemptEnd {
        let run = self.runner.run(
            self.context.clone(),
            self.settings.clone(),
            Arc::clone(&self.observer) as Arc<dyn AttemptObserver>,
            self.cancel.clone(),
        );
        let end = tokio::time::timeout(PATIENCE, run).await.unwrap();
        for process in ["tap", "target", "discover"] {
            let marker = format!("{}/{process}", self.context.marker());
            assert_eq!(processes_of_attempt(&marker), Vec::<u32>::new(), "{process} is alive");
        }
        assert!(!self.context.work_folder.exists());
        assert_eq!(self.private_folders(), Vec::<PathBuf>::new());
        end
    }

    pub(crate) async fn completed(&self) -> Value {
        match self.run().await {
            AttemptOutcome::Completed { output } => output,
            other => panic!("{other:?}\n{}", self.log.text()),
        }
    }

    pub(crate) async fn failed(&self) -> AttemptError {
        match self.run().await {
            AttemptOutcome::Failed(error) => error,
            other => panic!("{other:?}\n{}", self.log.text()),
        }
    }

    /// Cancels once the log says `line`, and expects the attempt to end as cancelled.
    pub(crate) async fn cancelled_at(&self, line: &str) {
        let cancel = async {
            self.log.heard(line).await;
            self.cancel.cancel();
        };
        let (outcome, ()) = tokio::join!(self.run(), cancel);
        assert_eq!(outcome, AttemptOutcome::Cancelled, "{}", self.log.text());
    }

    /// A file that a program wrote in the project's root.
    pub(crate) fn file(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap_or_default()).into()
    }

    pub(crate) fn memory_folder(&self) -> PathBuf {
        self.folder.path().join("memory")
    }

    fn private_folders(&self) -> Vec<PathBuf> {
        let owners = fs::read_dir(self.memory_folder()).unwrap().flatten();
        owners
            .flat_map(|owner| fs::read_dir(owner.path()).unwrap().flatten())
            .map(|folder| folder.path())
            .collect()
    }
}

/// Jails as they are by default.
pub(crate) fn jailer(launcher: &Launcher) -> ProjectJailer {
    let jailer = Arc::new(Jailer::new(launcher.clone(), JailerOptions::default()));
    ProjectJailer::new(jailer, ProjectJailerOptions::default())
}

/// Markers of processes are made of it, and other tests run at the same time.
fn unique_execution() -> ExecutionId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("ex_{process:016x}{count:016x}").parse().unwrap()
}

fn context(folder: &TempDir, log: Arc<Ears>) -> AttemptContext {
    let path = std::env::var_os("PATH").unwrap_or_default();
    AttemptContext {
        execution: unique_execution(),
        pipeline: "sales".parse().unwrap(),
        step: "load".parse().unwrap(),
        attempt: 1,
        epoch: 1,
        project_root: folder.path().to_owned(),
        work_folder: folder.path().join("work/load/1"),
        environment: vec![("PATH".into(), path), ("FROM_STEP".into(), "step".into())],
        grace: Duration::from_secs(30),
        // What the programs of a test note down lies beside them.
        rights: AttemptRights {
            writable: vec![folder.path().to_owned()],
            hidden: vec![folder.path().join("memory")],
            ..AttemptRights::default()
        },
        log,
    }
}

fn settings(folder: &TempDir, tap: &str, target: &str) -> SyncSettings {
    let plugin = |name: &str, script: &str| {
        let path = folder.path().join(name);
        let shebang = if script.starts_with("#!") { "" } else { "#!/bin/sh\n" };
        fs::write(&path, format!("{shebang}{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        PluginSettings {
            name: name.to_owned(),
            argv: vec![path.into()],
            config: json!({ "of": name }),
            environment: Vec::new(),
            native: false,
            folder: None,
        }
    };
    SyncSettings {
        tap: plugin("tap-x", tap),
        target: plugin("target-y", target),
        select: Vec::new(),
        metadata: Vec::new(),
        schema: Vec::new(),
        only_streams: Vec::new(),
        unmatched: Unmatched::Fail,
        max_line: 16 * 1024 * 1024,
        state: None,
        committed_state: None,
    }
}

/// A script that prints these lines.
pub(crate) fn prints(lines: &[&str]) -> String {
    let prints: Vec<String> =
        lines.iter().map(|line| format!("printf '%s\\n' '{line}'\n")).collect();
    prints.concat()
}

impl Ears {
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let line = |(source, text): &(LogSource, String)| format!("{}: {text}\n", source.as_str());
        lines.iter().map(line).collect()
    }

    pub(crate) fn states(&self) -> Vec<String> {
        self.states.lock().unwrap().clone()
    }

    pub(crate) fn schemas(&self) -> Vec<(String, String)> {
        self.schemas.lock().unwrap().clone()
    }

    pub(crate) fn progress(&self) -> Vec<Progress> {
        self.progress.lock().unwrap().clone()
    }

    /// Waits until the log has this.
    pub(crate) async fn heard(&self, text: &str) {
        loop {
            let said = self.said.notified();
            if self.text().contains(text) {
                return;
            }
            said.await;
        }
    }

    fn answer(&self) -> Result<(), BookmarkRefused> {
        let refusal = self.refusal.lock().unwrap().clone();
        refusal.map_or(Ok(()), |message| Err(BookmarkRefused { message }))
    }
}

impl AttemptLog for Ears {
    fn line(&self, source: LogSource, text: &str) {
        self.lines.lock().unwrap().push((source, text.to_owned()));
        self.said.notify_one();
    }
}

#[async_trait]
impl AttemptObserver for Ears {
    fn progress(&self, progress: &Progress) {
        self.progress.lock().unwrap().push(progress.clone());
    }

    async fn state_confirmed(&self, line: &[u8]) -> Result<(), BookmarkRefused> {
        self.states.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
        self.answer()
    }

    async fn schema_observed(&self, stream: &str, line: &[u8]) -> Result<(), BookmarkRefused> {
        let line = String::from_utf8(line.to_vec()).unwrap();
        self.schemas.lock().unwrap().push((stream.to_owned(), line));
        Ok(())
    }
}
