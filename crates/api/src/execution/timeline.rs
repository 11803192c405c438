//! What happened in an execution, and what its steps wrote, page by page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TimelineEntry;
use crate::{Query, Route};

const fn default_limit() -> usize {
    100
}

/// Shows what happened in an execution, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetExecutionTimeline {
    /// The execution: its id, a unique prefix of it, or `last`.
    pub execution: String,
    /// Only after this position of the log.
    #[serde(default)]
    pub after: u64,
    /// How many entries to show.
    #[serde(default = "default_limit")]
    pub limit: usize,
}

impl Query for GetExecutionTimeline {
    type Reply = TimelinePage;
    const NAME: &'static str = "GetExecutionTimeline";
    const PERMISSION: &'static str = "execution.read";
    const ROUTE: Option<Route> = Some(Route::get("executions/{execution}/timeline"));
}

/// What happened in an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelinePage {
    /// The execution's id.
    pub execution: String,
    /// What happened, in order.
    pub items: Vec<TimelineEntry>,
    /// What to pass as `after` for what follows; absent at the present end.
    pub next: Option<u64>,
}

/// Shows what the steps of an execution wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetExecutionLogs {
    /// The execution: its id, a unique prefix of it, or `last`.
    pub execution: String,
    /// Only of this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only of this attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How many lines to show.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Query for GetExecutionLogs {
    type Reply = ExecutionLogPage;
    const NAME: &'static str = "GetExecutionLogs";
    const PERMISSION: &'static str = "execution.read";
    const ROUTE: Option<Route> = Some(Route::get("executions/{execution}/logs"));
}

/// What the steps of an execution wrote, attempt by attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionLogPage {
    /// The execution's id.
    pub execution: String,
    /// Its status now: nothing is added once it has ended.
    pub status: String,
    /// The lines, the attempt that began first first.
    pub items: Vec<ExecutionLogLine>,
    /// What to pass as `after` for what follows, now or later.
    pub next: String,
    /// Whether there was more when this page was read.
    pub more: bool,
    /// Attempts whose logs are not in the state folder of this node: they were removed, or another
    /// node ran them.
    pub elsewhere: Vec<LogElsewhere>,
}

/// A line that a step wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionLogLine {
    /// The step.
    pub step: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// When the line was read (RFC 3339).
    pub time: String,
    /// `stdout`, `stderr`, `tap`, `target` or `runner`.
    pub source: String,
    /// Its text, secrets hidden.
    pub line: String,
}

/// An attempt whose log is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogElsewhere {
    /// The step.
    pub step: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// The node that ran it.
    pub node: String,
}
