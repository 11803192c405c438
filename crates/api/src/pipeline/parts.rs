//! Parts of a pipeline that are read by themselves: versions, steps, executions.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StepOutline;
use crate::{ExecutionPage, Query, Route};

/// Lists the versions of a pipeline's definition, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListPipelineVersions {
    /// The pipeline: its name, or its id
    pub name: String,
    /// How many to show
    #[arg(long, default_value_t = default_versions())]
    #[serde(default = "default_versions")]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

const fn default_versions() -> usize {
    20
}

impl Query for ListPipelineVersions {
    type Reply = PipelineVersionPage;
    const NAME: &'static str = "ListPipelineVersions";
    const PERMISSION: &'static str = "pipeline.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines/{name}/versions"));
}

/// Versions of a pipeline's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineVersionPage {
    /// The versions, the newest first.
    pub items: Vec<PipelineVersionView>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// A version of a pipeline's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineVersionView {
    /// Its number, from 1.
    pub version: u32,
    /// When it was registered (RFC 3339).
    pub created_at: String,
    /// Who registered it.
    pub actor: String,
    /// How many steps it has.
    pub steps: u32,
    /// What the pipeline was for in this version.
    pub description: Option<String>,
    /// The log's position at which it was registered.
    pub position: u64,
}

/// Shows the steps of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPipelineSteps {
    /// The pipeline: its name, or its id.
    pub name: String,
    /// The version of its definition; the newest unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl Query for ListPipelineSteps {
    type Reply = PipelineStepList;
    const NAME: &'static str = "ListPipelineSteps";
    const PERMISSION: &'static str = "pipeline.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines/{name}/steps"));
}

/// The steps of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineStepList {
    /// The pipeline's id.
    pub id: String,
    /// The version that is shown.
    pub version: u32,
    /// Its steps, in the order of the file.
    pub items: Vec<StepOutline>,
}

/// Lists the executions of a pipeline, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPipelineExecutions {
    /// The pipeline: its name, or its id.
    pub pipeline: String,
    /// Only executions with this status (queued, running, completed, failed, cancelled).
    #[serde(default)]
    pub statuses: Vec<String>,
    /// How many to show.
    #[serde(default = "default_versions")]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Query for ListPipelineExecutions {
    type Reply = ExecutionPage;
    const NAME: &'static str = "ListPipelineExecutions";
    const PERMISSION: &'static str = "execution.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines/{pipeline}/executions"));
}
