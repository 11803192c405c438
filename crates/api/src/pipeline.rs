//! Pipelines.

mod life;
mod parts;

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Command, ExecutionSummary, Query, Route};
pub use life::{ActivatePipeline, ArchivePipeline, DeactivatePipeline, PipelineStatusChanged};
pub use parts::{
    ListPipelineExecutions, ListPipelineSteps, ListPipelineVersions, PipelineStepList,
    PipelineVersionPage, PipelineVersionView,
};

/// Registers a new pipeline under a name that is free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePipeline {
    /// The parsed definition with what it refers to in the project file, as `validate --output
    /// json` prints it.
    pub document: Value,
    /// The idempotency key: asking twice with one key makes one pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl Command for CreatePipeline {
    type Reply = PipelineSaved;
    const NAME: &'static str = "CreatePipeline";
    const PERMISSION: &'static str = "pipeline.create";
    const ROUTE: Option<Route> =
        Some(Route::post("pipelines").replying(201).keyed_by("idempotency_key"));

    fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }
}

/// Gives a pipeline another definition; a new version only if it differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatePipeline {
    /// The pipeline: its name, or its id.
    pub name: String,
    /// The parsed definition, as for [`CreatePipeline`]; a pipeline keeps its name.
    pub document: Value,
    /// Only if it has changed this often, as `aggregate_version` of its view says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
}

impl Command for UpdatePipeline {
    type Reply = PipelineSaved;
    const NAME: &'static str = "UpdatePipeline";
    const PERMISSION: &'static str = "pipeline.update";
    const ROUTE: Option<Route> =
        Some(Route::put("pipelines/{name}").matched_by("expected_version"));
}

/// What creating or updating a pipeline came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineSaved {
    /// The pipeline's id.
    pub id: String,
    /// Its newest version.
    pub version: u32,
    /// How often it has changed: its definition, or its status.
    pub aggregate_version: u64,
    /// The log's position after it; 0 if nothing changed.
    pub position: u64,
}

/// Shows one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetPipeline {
    /// The pipeline: its name, or its id
    pub name: String,
    /// Show this version of its definition instead of the newest
    #[arg(long)]
    pub version: Option<u32>,
}

impl Query for GetPipeline {
    type Reply = PipelineView;
    const NAME: &'static str = "GetPipeline";
    const PERMISSION: &'static str = "pipeline.read";
    const ROUTE: Option<Route> =
        Some(Route::get("pipelines/{name}").tagged_by("aggregate_version"));
}

/// One pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `draft`, `active`, `inactive` or `archived`.
    pub status: String,
    /// The version that is shown.
    pub version: u32,
    /// How often it has changed: its definition, or its status.
    pub aggregate_version: u64,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepOutline>,
    /// The whole definition, templates unrendered.
    pub document: Value,
}

/// A step as its pipeline defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepOutline {
    /// Its id.
    pub id: String,
    /// Its kind, as in the pipeline file.
    pub kind: String,
    /// The steps that must have ended before it is decided.
    pub needs: Vec<String>,
    /// Its condition.
    pub when: Option<String>,
}

/// Lists pipelines by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListPipelines {
    /// Only pipelines with this status (draft, active, inactive, archived); may be repeated
    #[arg(long = "status")]
    pub statuses: Vec<String>,
    /// Only pipelines with this tag
    #[arg(long)]
    pub tag: Option<String>,
    /// Only pipelines with this text in their name or description
    #[arg(long)]
    pub text: Option<String>,
    /// Only pipelines of this owner
    #[arg(long)]
    pub owner: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    pub after: Option<String>,
}

impl Default for ListPipelines {
    fn default() -> Self {
        Self { statuses: vec![], tag: None, text: None, owner: None, limit: 50, after: None }
    }
}

impl Query for ListPipelines {
    type Reply = PipelinePage;
    const NAME: &'static str = "ListPipelines";
    const PERMISSION: &'static str = "pipeline.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines"));
}

/// A page of pipelines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelinePage {
    /// The pipelines, by name.
    pub items: Vec<PipelineSummary>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `draft`, `active`, `inactive` or `archived`.
    pub status: String,
    /// Its newest version.
    pub version: u32,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many steps it has.
    pub steps: u32,
    /// When its definition or status changed last (RFC 3339).
    pub updated_at: String,
}

/// Shows how a pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetPipelineStatus {
    /// The pipeline's name
    pub name: String,
}

impl Query for GetPipelineStatus {
    type Reply = PipelineStatusView;
    const NAME: &'static str = "GetPipelineStatus";
    const PERMISSION: &'static str = "pipeline.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines/{name}/status"));
}

/// How a pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PipelineStatusView {
    /// The pipeline.
    pub pipeline: PipelineSummary,
    /// How many executions there are with each status.
    pub executions: BTreeMap<String, u64>,
    /// Its newest execution; absent if there is none.
    pub last_execution: Option<ExecutionSummary>,
}
