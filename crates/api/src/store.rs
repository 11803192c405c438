//! What a store keeps, and for how long.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route};

/// Removes old executions that have ended from the views, and what their steps wrote if that is
/// asked for. Executions of pipelines that say with `retention` how long they are kept go by that;
/// all others that were created before the time that is given. Their events stay in the log:
/// building the views again brings the executions back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct PruneStore {
    /// Executions that were created before this: an age such as 90d, or a time (RFC 3339). Without
    /// it only those of pipelines that say themselves how long they are kept
    #[arg(long, value_name = "AGE|TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
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
    const PERMISSION: &'static str = "system.prune";
    const ROUTE: Option<Route> = Some(Route::post("system/prune"));
}

/// What was removed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorePruned {
    /// The time before which executions count as old; absent if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// How many executions went from the views, those of the pipelines below included.
    pub executions: u64,
    /// Pipelines that say themselves how long executions are kept, and had some that are older.
    pub pipelines: Vec<PipelinePruned>,
    /// What went of attempt logs, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsPruned>,
}

/// What went of a pipeline that says how long its executions are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelinePruned {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its tenant.
    pub tenant: String,
    /// The time before which its executions count as old.
    pub before: String,
    /// How many of them went.
    pub executions: u64,
}

/// Attempt logs that were removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogsPruned {
    /// Of how many executions.
    pub executions: u64,
    /// How many bytes they took.
    pub bytes: u64,
}
