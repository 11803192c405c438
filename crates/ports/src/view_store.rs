//! Views: rows that projections fold out of the log, and their checkpoints.

use async_trait::async_trait;
use flexcore_domain::{EnvironmentName, ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::{Hash, Timestamp};

use crate::StoreError;

/// How far a projection has come, in the same transaction as the rows that it led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last position that is folded in; the end of a batch.
    pub position: u64,
    /// The hash of the batch that ends there: a log with another hash is another history.
    pub hash: Hash,
}

/// A row of the pipeline status view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRow {
    /// The pipeline.
    pub id: PipelineId,
    /// Its name.
    pub name: PipelineName,
    /// `draft`, `active`, `inactive` or `archived`.
    pub status: String,
    /// The newest version of its definition.
    pub version: u32,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How many steps it has.
    pub steps: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition or status changed last.
    pub updated_at: Timestamp,
}

/// A row of the execution history view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRow {
    /// The execution.
    pub id: ExecutionId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The version that it runs.
    pub version: u32,
    /// `queued`, `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Its environment.
    pub environment: EnvironmentName,
    /// The idempotency key that it was started with.
    pub run_key: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its first owner began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed, the first error.
    pub error: Option<String>,
}

/// A row to insert or replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewUpdate {
    /// In the pipeline status view.
    Pipeline(PipelineRow),
    /// In the execution history view.
    Execution(ExecutionRow),
}

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

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

/// Where views are kept.
#[async_trait]
pub trait ViewStore: Send + Sync {
    /// How far a projection has come; `None` if it never ran.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn checkpoint(&self, projection: &str) -> Result<Option<Checkpoint>, StoreError>;

    /// Writes rows and the checkpoint in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn apply(
        &self,
        projection: &str,
        updates: Vec<ViewUpdate>,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError>;

    /// One pipeline by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_pipeline(&self, name: &PipelineName) -> Result<Option<PipelineRow>, StoreError>;

    /// One pipeline by id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_pipeline_by_id(&self, id: PipelineId) -> Result<Option<PipelineRow>, StoreError>;

    /// A page of pipelines, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PipelineRow>, StoreError>;

    /// One execution.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_execution(&self, id: ExecutionId) -> Result<Option<ExecutionRow>, StoreError>;

    /// A page of executions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_executions(
        &self,
        filter: &ExecutionFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ExecutionRow>, StoreError>;
}
