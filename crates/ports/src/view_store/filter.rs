//! What lists show.

use flexcore_domain::{EnvironmentName, PipelineName};

/// Which pipelines a list shows, ordered by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PipelineFilter {
    /// Only these statuses; empty: all.
    pub statuses: Vec<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only with this text in name or description, case-insensitive.
    pub text: Option<String>,
    /// Only of this owner.
    pub owner: Option<String>,
}

/// Which executions a list shows, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionFilter {
    /// Only of this pipeline.
    pub pipeline: Option<PipelineName>,
    /// Only these statuses; empty: all.
    pub statuses: Vec<String>,
    /// Only with this idempotency key.
    pub run_key: Option<String>,
    /// Only ids whose text begins so.
    pub id_prefix: Option<String>,
}

/// Which data streams a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataStreamFilter {
    /// Only of this pipeline.
    pub pipeline: Option<PipelineName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
}

/// Which metrics a list shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricFilter {
    /// Only these names; empty: all.
    pub names: Vec<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}
