//! Running one attempt of one step: the ports behind `command` and `sync` steps.
//!
//! The runner in `app` renders a step's settings and hands them over as plain values; an adapter
//! runs the attempt to its end, reports while it runs, and never touches the event log.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use flexcore_domain::{CapabilityUse, ErrorClass, ExecutionId, Isolation, PipelineName, StepId};
use flexcore_plugin_protocol::Effective;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::logs::AttemptLog;

/// What every attempt is given, whatever its kind.
#[derive(Debug, Clone)]
pub struct AttemptContext {
    /// The execution that it belongs to.
    pub execution: ExecutionId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepId,
    /// Which try this is, from 1; tries that were lost with their node count here, so that every
    /// attempt of a step has its own number.
    pub attempt: u32,
    /// The epoch of the owner that started it.
    pub epoch: u64,
    /// Relative paths and working directories start here.
    pub project_root: PathBuf,
    /// A private folder for this attempt, made by the adapter, removed at its end.
    pub work_folder: PathBuf,
    /// The step's environment, complete: nothing of the host's is added but what the adapter
    /// itself needs.
    pub environment: Vec<(OsString, OsString)>,
    /// How long the processes may take to end after they were asked to.
    pub grace: Duration,
    /// What its programs may do.
    pub rights: AttemptRights,
    /// Where output lines go.
    pub log: Arc<dyn AttemptLog>,
}

/// What the programs of an attempt may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptRights {
    /// What they may reach and use: what the step asks for and the operator grants.
    pub effective: Effective,
    /// Folders of the project that they may write, absolute; made if missing. All else of the
    /// project they may only read.
    pub writable: Vec<PathBuf>,
    /// Folders that they must not see although they lie in the project: FlexCore's own.
    pub hidden: Vec<PathBuf>,
}

impl AttemptContext {
    /// `<execution>/<step>/<attempt>`: the mark that every process of this attempt carries as
    /// `FLEXCORE_ATTEMPT`.
    pub fn marker(&self) -> String {
        format!("{}/{}/{}", self.execution, self.step, self.attempt)
    }
}

/// A rendered `command` step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSettings {
    /// What to run.
    pub program: CommandProgram,
    /// Working directory, relative to the project root; the root itself unless given.
    pub cwd: Option<PathBuf>,
    /// Exit codes that mean success; `[0]` unless given.
    pub ok_exit_codes: Vec<i32>,
    /// The longest line that is kept in the log, in bytes; longer ones are cut there.
    pub max_log_line: usize,
}

/// What a `command` step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandProgram {
    /// A program and its arguments, as they are.
    Argv(Vec<String>),
    /// A script for a shell.
    Script {
        /// Its text.
        script: String,
        /// The shell.
        shell: Shell,
    },
}

/// The shell of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shell {
    /// `bash -euo pipefail`.
    #[default]
    Bash,
    /// `sh -eu`.
    Sh,
}

/// A rendered `sync` step.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// Where records come from.
    pub tap: PluginSettings,
    /// Where they go.
    pub target: PluginSettings,
    /// Select rules in Meltano's meaning, in order; empty: whatever the tap's catalog selects.
    pub select: Vec<String>,
    /// Metadata rules: a glob over `stream` or `stream.field` to the keys that it sets; in order,
    /// the last match wins.
    pub metadata: Vec<(String, Value)>,
    /// Schema overrides: stream to field to JSON Schema.
    pub schema: Vec<(String, Value)>,
    /// Only these streams run in this execution; empty: all that are selected.
    pub only_streams: Vec<String>,
    /// What a pattern that matches nothing in the catalog does.
    pub unmatched: Unmatched,
    /// The longest line that is handed over, in bytes.
    pub max_line: u64,
    /// The Singer state that the tap starts from, as JSON text (its numbers may be larger than any
    /// machine type); `None`: from the beginning.
    pub state: Option<String>,
    /// SHA-256 (hex) of the raw STATE line that this execution committed last; `None` if it
    /// committed none yet. Native targets roll back to it (design: effectively once).
    pub committed_state: Option<String>,
}

/// A tap or a target.
#[derive(Debug, Clone)]
pub struct PluginSettings {
    /// Its name, for messages and logs.
    pub name: String,
    /// The program and its first arguments; the Singer flags follow.
    pub argv: Vec<OsString>,
    /// Its rendered config; may hold secrets.
    pub config: Value,
    /// Environment besides the step's.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether it is one of ours, which understands `FLEXCORE_COMMITTED_STATE`.
    pub native: bool,
    /// Where its files are, if they are kept for it: a folder that its program may read.
    pub folder: Option<PathBuf>,
}

/// What a select or metadata pattern that matches nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmatched {
    /// The attempt fails and names the pattern.
    #[default]
    Fail,
    /// The pattern is named in the log.
    Warn,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptOutcome {
    /// It did its work; its output is JSON.
    Completed {
        /// The output that later steps read.
        output: Value,
    },
    /// It failed.
    Failed(AttemptError),
    /// It ended because it was cancelled; whatever its exit code was, it is not a success.
    Cancelled,
}

/// How an attempt ended, and what is to be known of it afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnd {
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// What held each of its programs; empty if none ran.
    pub isolation: Vec<Isolation>,
    /// What they used of their rights, and what they tried in vain.
    pub uses: Vec<CapabilityUse>,
}

impl AttemptEnd {
    /// An attempt that ended before anything ran.
    pub const fn nothing_ran(outcome: AttemptOutcome) -> Self {
        Self { outcome, isolation: Vec::new(), uses: Vec::new() }
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptError {
    /// The class that retry policies name.
    pub class: ErrorClass,
    /// What happened and what to do, for a person; the first error first. Masked by the runner
    /// before it is stored.
    pub message: String,
    /// The exit code, if a program ended with one.
    pub exit_code: Option<i32>,
    /// The last lines that the failing program wrote to stderr (at most 20).
    pub stderr_tail: Vec<String>,
}

/// What a running attempt has done so far; counts only grow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records handed over, all streams.
    pub records: u64,
    /// Bytes of their lines.
    pub bytes: u64,
    /// Per stream: name, records, bytes.
    pub streams: Vec<(String, u64, u64)>,
}

/// What an attempt reports while it runs.
///
/// Implementations must be quick: the pump waits for them.
#[async_trait]
pub trait AttemptObserver: Send + Sync {
    /// Counts so far; called a few times a second, and once at the end.
    fn progress(&self, progress: &Progress);

    /// The target confirmed a STATE: everything before it is durable. `line` is the raw line
    /// without its newline.
    ///
    /// # Errors
    /// [`BookmarkRefused`]: the bookmark cannot be recorded and the attempt must end (the owner
    /// was fenced, the STATE was empty or went backwards, the log is unavailable).
    async fn state_confirmed(&self, line: &[u8]) -> Result<(), BookmarkRefused>;

    /// A SCHEMA message was seen; `schema` is its raw line. Called once per distinct line.
    async fn schema_observed(&self, stream: &str, schema: &[u8]) -> Result<(), BookmarkRefused>;
}

/// Why a bookmark was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BookmarkRefused {
    /// What happened and what to do.
    pub message: String,
}

/// Runs attempts of `command` steps.
#[async_trait]
pub trait CommandRunner: Send + Sync {
    /// Runs one attempt to its end. When `cancel` fires the whole process tree is asked to end,
    /// and killed after the grace period; no process of the attempt is alive when this returns.
    async fn run(
        &self,
        context: AttemptContext,
        settings: CommandSettings,
        cancel: CancellationToken,
    ) -> AttemptEnd;
}

/// Runs attempts of `sync` steps.
#[async_trait]
pub trait SyncRunner: Send + Sync {
    /// Runs one attempt to its end, as [`CommandRunner::run`] does. A completed attempt's output
    /// is `{ records, bytes, rejected, streams: { <name>: { records, bytes } } }`.
    async fn run(
        &self,
        context: AttemptContext,
        settings: SyncSettings,
        observer: Arc<dyn AttemptObserver>,
        cancel: CancellationToken,
    ) -> AttemptEnd;

    /// The tap's catalog, as `--discover` prints it, with the step's rules applied.
    ///
    /// # Errors
    /// [`AttemptError`] if the tap cannot discover.
    async fn discover(
        &self,
        context: AttemptContext,
        settings: SyncSettings,
    ) -> Result<Value, AttemptError>;
}
