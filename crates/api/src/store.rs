//! What a store keeps, and for how long.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route};

/// Removes executions that ended and were created before a time from the views, and what their
/// steps wrote if that is asked for. Their events stay in the log: building the views again brings
/// the executions back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct PruneStore {
    /// Executions that were created before this: an age such as 90d, or a time (RFC 3339)
    #[arg(long, value_name = "AGE|TIME")]
    pub before: String,
    /// Remove what their steps wrote, too (attempt logs of this project folder)
    #[arg(long)]
    #[serde(default)]
    pub logs: bool,
    /// Only say what would be removed
    #[arg(long)]
    #[serde(default)]
    pub dry_run: bool,
}

impl Command for PruneStore {
    type Reply = StorePruned;
    const NAME: &'static str = "PruneStore";
    const PERMISSION: &'static str = "store.prune";
    const ROUTE: Option<Route> = Some(Route::post("system/prune"));
}

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorePruned {
    /// The time before which executions count as old.
    pub before: String,
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// How many executions went from the views.
    pub executions: u64,
    /// What went of attempt logs, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsPruned>,
}

/// Attempt logs that were removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsPruned {
    /// Of how many executions.
    pub executions: u64,
    /// How many bytes they took.
    pub bytes: u64,
}
