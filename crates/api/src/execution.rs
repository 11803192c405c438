//! Executions.

mod timeline;

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Command, Query, Route, StepSandboxView, Written};
pub use timeline::{
    ExecutionLogLine, ExecutionLogPage, GetExecutionLogs, GetExecutionTimeline, LogElsewhere,
    TimelinePage,
};

/// Asks for one execution of a pipeline's newest version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutePipeline {
    /// The pipeline's name.
    pub pipeline: String,
    /// The environment whose settings apply; `default` unless given.
    pub environment: Option<String>,
    /// Parameters as `name=value` texts; a secret one as `name=@secret:NAME`.
    pub params: BTreeMap<String, String>,
    /// Only this step.
    pub only: Option<String>,
    /// This step and everything that depends on it.
    pub from: Option<String>,
    /// Only these streams of its syncs.
    pub streams: Vec<String>,
    /// Which bookmarks to leave aside.
    pub full_refresh: Option<ExecutionRefresh>,
    /// The idempotency key: asking twice with one key gives one execution.
    pub run_key: Option<String>,
}

/// Which bookmarks an execution leaves aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionRefresh {
    /// All of them.
    All,
    /// Those of these steps: `step` or `step:stream`.
    Steps(Vec<String>),
}

impl Command for ExecutePipeline {
    type Reply = ExecutionAccepted;
    const NAME: &'static str = "ExecutePipeline";
    const PERMISSION: &'static str = "pipeline.execute";
    const ROUTE: Option<Route> =
        Some(Route::post("pipelines/{pipeline}/executions").replying(202).keyed_by("run_key"));

    fn idempotency_key(&self) -> Option<&str> {
        self.run_key.as_deref()
    }
}

/// An execution that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionAccepted {
    /// Its id.
    pub execution: String,
    /// The version of the definition that it runs.
    pub version: u32,
    /// Whether it was there already, because its key had been used.
    pub repeated: bool,
    /// The log's position after it; 0 if it was there already.
    pub position: u64,
}

/// Asks for the end of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct CancelExecution {
    /// The execution: its id, a unique prefix of it, or `last`
    #[arg(default_value = "last")]
    pub execution: String,
    /// Why, for the record
    #[arg(long)]
    pub reason: Option<String>,
}

impl Command for CancelExecution {
    type Reply = Written;
    const NAME: &'static str = "CancelExecution";
    const PERMISSION: &'static str = "execution.cancel";
    const ROUTE: Option<Route> = Some(Route::post("executions/{execution}/cancel"));
}

/// Runs again what did not complete in an execution that failed or was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RetryExecution {
    /// The execution: its id, a unique prefix of it, or `last`
    #[arg(default_value = "last")]
    pub execution: String,
}

impl Command for RetryExecution {
    type Reply = Written;
    const NAME: &'static str = "RetryExecution";
    const PERMISSION: &'static str = "execution.retry";
    const ROUTE: Option<Route> = Some(Route::post("executions/{execution}/retry").replying(202));
}

/// Shows one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetExecution {
    /// The execution: its id, a unique prefix of it, or `last`
    #[arg(default_value = "last")]
    pub execution: String,
}

impl Query for GetExecution {
    type Reply = ExecutionView;
    const NAME: &'static str = "GetExecution";
    const PERMISSION: &'static str = "execution.read";
    const ROUTE: Option<Route> = Some(Route::get("executions/{execution}"));
}

/// One execution, folded from its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionView {
    /// Its id.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The version of the definition that it runs.
    pub version: u32,
    /// The environment whose settings apply.
    pub environment: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Whether its end was asked for.
    pub cancel_requested: bool,
    /// The values of its parameters; secret ones as references.
    pub params: Value,
    /// The idempotency key that it was started with.
    pub run_key: Option<String>,
    /// When it was asked for (RFC 3339).
    pub created_at: String,
    /// When it began (RFC 3339).
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// How long it took from its beginning to its end, or to now, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepView>,
    /// What happened, in order.
    pub timeline: Vec<TimelineEntry>,
}

/// A step of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// Its id.
    pub id: String,
    /// `pending`, `running`, `waiting`, `completed`, `failed`, `skipped` or `cancelled`.
    pub status: String,
    /// Why it was skipped: `condition` or `upstream`.
    pub skip_cause: Option<String>,
    /// How many attempts were started.
    pub attempts: u32,
    /// When its last attempt began (RFC 3339).
    pub started_at: Option<String>,
    /// How long its last attempt took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// When another try is due (RFC 3339).
    pub due_at: Option<String>,
    /// What later steps read.
    pub output: Option<Value>,
    /// Records that its sync handed over.
    pub records: Option<u64>,
    /// Bytes that its sync handed over.
    pub bytes: Option<u64>,
    /// Why it failed.
    pub error: Option<AttemptErrorView>,
    /// What held the programs of its last attempt that ended.
    pub sandbox: Option<StepSandboxView>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptErrorView {
    /// `exit_code`, `signal`, `timeout`, `network`, `oom`, `refused` or `node_lost`.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// The exit code, if a program ended with one.
    pub exit_code: Option<i32>,
    /// The last lines that the failing program wrote to stderr.
    pub stderr_tail: Vec<String>,
}

/// One event of an execution, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// When it happened (RFC 3339).
    pub at: String,
    /// Its position in the log.
    pub position: u64,
    /// The event's type.
    pub event: String,
    /// The step that it is about.
    pub step: Option<String>,
    /// What it says besides, in a few words.
    pub detail: Option<String>,
}

/// Lists executions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListExecutions {
    /// Only executions of this pipeline
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Only executions with this status (queued, running, completed, failed, cancelled); may be
    /// repeated
    #[arg(long = "status")]
    pub statuses: Vec<String>,
    /// How many to show
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    pub after: Option<String>,
}

impl Default for ListExecutions {
    fn default() -> Self {
        Self { pipeline: None, statuses: vec![], limit: 20, after: None }
    }
}

impl Query for ListExecutions {
    type Reply = ExecutionPage;
    const NAME: &'static str = "ListExecutions";
    const PERMISSION: &'static str = "execution.read";
    const ROUTE: Option<Route> = Some(Route::get("executions"));
}

/// A page of executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionPage {
    /// The executions, newest first.
    pub items: Vec<ExecutionSummary>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// An execution in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionSummary {
    /// Its id.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The version of the definition that it runs.
    pub version: u32,
    /// The environment whose settings apply.
    pub environment: String,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// When it was asked for (RFC 3339).
    pub created_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why it failed, the first error.
    pub error: Option<String>,
}
