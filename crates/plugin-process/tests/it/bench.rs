//! What the tests share: a jailer, plugins in folders, and a log that is read back.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use flexcore_plugin_process::{ProcessHost, ProcessOptions};
use flexcore_plugin_protocol::{ContentDigest, Effective, Manifest};
use flexcore_ports::{
    AttemptLog, CallablePlugin, LogSource, PluginCall, PluginEnd, PluginError, PluginHost as _,
    PluginOutput,
};
use flexcore_sandbox::{
    IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions, processes_of_attempt,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Long enough for anything on a busy machine; nothing is concluded from it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Keeps lines, and wakes who waits for one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Mutex<Vec<String>>,
    added: Notify,
}

impl AttemptLog for Lines {
    fn line(&self, source: LogSource, text: &str) {
        self.lines.lock().unwrap().push(format!("{} {text}", source.as_str()));
        self.added.notify_one();
    }
}

impl Lines {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Returns once so many lines with this text were logged.
    pub(crate) async fn wait_for(&self, text: &str, count: usize) {
        let wait = async {
            while self.count(text) < count {
                self.added.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the lines come");
    }
}

/// A host with its jailer, and a place for plugins.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) host: Arc<ProcessHost>,
    pub(crate) log: Arc<Lines>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut ProcessOptions)) -> Self {
        Self::isolated(IsolationPolicy::Strongest, adjust).await
    }

    pub(crate) async fn isolated(
        isolation: IsolationPolicy,
        adjust: impl FnOnce(&mut ProcessOptions),
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("fx").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let launcher = Launcher::start(LauncherOptions {
            executable: env!("CARGO_BIN_EXE_flexcore-plugin-process-probe").into(),
            lock_path: folder.path().join("launcher.lock"),
            lock_patience: Duration::ZERO,
            environment: Vec::new(),
            isolation,
        });
        let jailer = Jailer::new(launcher.await.unwrap(), JailerOptions::default());
        let mut options = ProcessOptions::new(folder.path().join("run"));
        options.start = PATIENCE;
        options.answer = PATIENCE;
        adjust(&mut options);
        let host = Arc::new(ProcessHost::new(Arc::new(jailer), options));
        Self { folder, host, log: Arc::default() }
    }

    /// A plugin of one file that is already there.
    pub(crate) fn program(&self, name: &str, program: &Path, more: &str) -> CallablePlugin {
        let folder = self.folder.path().join("plugins").join(name);
        fs::create_dir_all(&folder).unwrap();
        // One that runs already cannot be written to.
        if !folder.join("program").exists() {
            fs::copy(program, folder.join("program")).unwrap_or_else(|error| {
                panic!("{}: {error}; `make setup` builds it", program.display())
            });
        }
        plugin(name, &["program"], &folder, more)
    }

    /// A plugin that is a script for the shell.
    pub(crate) fn script(&self, name: &str, script: &str, more: &str) -> CallablePlugin {
        let folder = self.folder.path().join("plugins").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(folder.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
        plugin(name, &["script"], &folder, more)
    }

    pub(crate) async fn execute(&self, plugin: &CallablePlugin, call: PluginCall) -> PluginEnd {
        self.execute_until(plugin, call, CancellationToken::new()).await
    }

    pub(crate) async fn execute_until(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        cancel: CancellationToken,
    ) -> PluginEnd {
        let log = Arc::<Lines>::clone(&self.log);
        let end = self.host.execute(plugin, call, log, cancel);
        tokio::time::timeout(PATIENCE, end).await.expect("a call comes to an end")
    }

    /// A call that has to go well.
    pub(crate) async fn run(&self, plugin: &CallablePlugin, call: PluginCall) -> PluginOutput {
        self.execute(plugin, call).await.outcome.unwrap_or_else(|error| panic!("{error:#?}"))
    }

    /// A call that has to go wrong.
    pub(crate) async fn fail(&self, plugin: &CallablePlugin, call: PluginCall) -> PluginError {
        self.execute(plugin, call).await.outcome.expect_err("the call goes wrong")
    }

    /// Ends everything, and looks whether something is left.
    pub(crate) async fn nothing_is_left(&self) {
        self.host.close().await;
        let left = async {
            let marks = ["go-greeter", "go-probe", "misbehaviour"]
                .map(|name| format!("plugin/{name}/{}", std::process::id()));
            let run = self.folder.path().join("run");
            let is_empty = || !run.exists() || fs::read_dir(&run).unwrap().next().is_none();
            let ran = |mark: &String| !processes_of_attempt(mark).is_empty();
            while marks.iter().any(ran) || !is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, left).await.expect("processes and folders go");
    }
}

/// A plugin as it is registered; `more` are further lines of its manifest.
pub(crate) fn plugin(name: &str, argv: &[&str], folder: &Path, more: &str) -> CallablePlugin {
    let entrypoint: Vec<String> = argv.iter().map(|word| format!("{word:?}")).collect();
    let text = format!(
        "manifest = 1\n[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\nkind = \"process\"\ntype = \"processor\"\nentrypoint = [{}]\n{more}",
        entrypoint.join(", ")
    );
    let manifest = Manifest::parse("plugin.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let effective = Effective {
        capabilities: manifest.capabilities.clone(),
        limits: manifest.limits.clone(),
        ..Effective::default()
    };
    CallablePlugin {
        manifest: Arc::new(manifest),
        digest: ContentDigest::of(folder.to_string_lossy().as_bytes()),
        folder: Some(folder.to_owned()),
        effective,
        tenant: "default".to_owned(),
    }
}

pub(crate) fn call(operation: &str, input: Value) -> PluginCall {
    PluginCall {
        id: "ex_1/step/1".to_owned(),
        idempotency_key: "ex_1/step".to_owned(),
        attempt: 1,
        operation: operation.to_owned(),
        config: json!({}),
        input,
        state: None,
        secrets: Vec::new(),
        timeout: None,
        trace: None,
    }
}

/// A program in Go that `make setup` built.
pub(crate) fn go_program(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    workspace.join(".cache/go/bin").join(name)
}
