//! What the tests share: a project folder, a launcher, and a log that is read back.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use flexcore_domain::{ExecutionId, PipelineName, StepId};
use flexcore_plugin_command::JailedCommandRunner;
use flexcore_ports::{
    AttemptLog, LogSource,
    attempt::{
        AttemptContext, AttemptEnd, AttemptError, AttemptOutcome, AttemptRights, CommandProgram,
        CommandRunner as _, CommandSettings, Shell,
    },
};
use flexcore_sandbox::{
    IsolationPolicy, Jailer, JailerOptions, Launcher, LauncherOptions, ProjectJailer,
    ProjectJailerOptions,
};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Keeps lines, and wakes who waits for one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    lines: Mutex<Vec<(LogSource, String)>>,
    added: Notify,
}

impl AttemptLog for Lines {
    fn line(&self, source: LogSource, text: &str) {
        self.lines.lock().unwrap().push((source, text.to_owned()));
        self.added.notify_one();
    }
}

impl Lines {
    pub(crate) fn of(&self, source: LogSource) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(from, _)| *from == source).map(|(_, line)| line.clone()).collect()
    }

    /// Returns once a line with this text was logged.
    pub(crate) async fn wait_for(&self, text: &str) {
        while !self.of(LogSource::Stdout).iter().any(|line| line == text) {
            self.added.notified().await;
        }
    }
}

pub(crate) struct Bench {
    pub(crate) project: TempDir,
    pub(crate) runner: JailedCommandRunner,
    pub(crate) log: Arc<Lines>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let project = tempfile::tempdir().unwrap();
        let launcher = Launcher::start(LauncherOptions {
            executable: env!("CARGO_BIN_EXE_flexcore-plugin-command-probe").into(),
            lock_path: project.path().join("launcher.lock"),
            lock_patience: Duration::ZERO,
            environment: Vec::new(),
            isolation: IsolationPolicy::Strongest,
        });
        let runner = JailedCommandRunner::new(jailer(launcher.await.unwrap()));
        Self { project, runner, log: Arc::default() }
    }

    pub(crate) fn context(&self) -> AttemptContext {
        AttemptContext {
            execution: self.execution(),
            pipeline: "sales".parse::<PipelineName>().unwrap(),
            step: "load".parse::<StepId>().unwrap(),
            attempt: 1,
            epoch: 1,
            project_root: self.project.path().to_owned(),
            work_folder: self.work_folder(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            grace: Duration::from_secs(20),
            rights: AttemptRights {
                writable: vec![self.project.path().join("out")],
                hidden: vec![self.project.path().join(".flexcore")],
                ..AttemptRights::default()
            },
            log: Arc::<Lines>::clone(&self.log),
        }
    }

    /// An id that no other test on this machine has, for its processes are looked for by it.
    pub(crate) fn execution(&self) -> ExecutionId {
        let mut hasher = DefaultHasher::new();
        self.project.path().hash(&mut hasher);
        format!("ex_{:032x}", hasher.finish()).parse().unwrap()
    }

    pub(crate) fn work_folder(&self) -> PathBuf {
        self.project.path().join(".flexcore/work/load/1")
    }

    pub(crate) async fn run(&self, settings: CommandSettings) -> AttemptOutcome {
        self.run_to_end(settings, self.context()).await.outcome
    }

    /// As [`Bench::run`], with everything that is known of the attempt.
    pub(crate) async fn run_to_end(
        &self,
        settings: CommandSettings,
        context: AttemptContext,
    ) -> AttemptEnd {
        self.runner.run(context, settings, CancellationToken::new()).await
    }
}

fn jailer(launcher: Launcher) -> ProjectJailer {
    let jailer = Arc::new(Jailer::new(launcher, JailerOptions::default()));
    ProjectJailer::new(jailer, ProjectJailerOptions::default())
}

pub(crate) fn argv(argv: &[&str]) -> CommandSettings {
    settings(CommandProgram::Argv(argv.iter().map(|&argument| argument.to_owned()).collect()))
}

pub(crate) fn script(script: &str) -> CommandSettings {
    settings(CommandProgram::Script { script: script.to_owned(), shell: Shell::Bash })
}

fn settings(program: CommandProgram) -> CommandSettings {
    CommandSettings { program, cwd: None, ok_exit_codes: vec![0], max_log_line: 1000 }
}

pub(crate) fn output(outcome: AttemptOutcome) -> serde_json::Value {
    match outcome {
        AttemptOutcome::Completed { output } => output,
        other => panic!("not completed: {other:?}"),
    }
}

pub(crate) fn error(outcome: AttemptOutcome) -> AttemptError {
    match outcome {
        AttemptOutcome::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}
