//! Views: rows that projections fold out of the log, and how far each projection has come.
//!
//! There are five, each fed by a projection of its own. Whoever reads one asks for the trait of
//! that view; [`ViewStore`] is all of them in one object.
//!
//! Rows belong to tenants. Whatever reads rows for a caller names the caller's tenant, and finds
//! nothing of another one's; only what the runtime does for itself (driving, retention, metrics)
//! reads across tenants, by methods that say so.

mod filter;
mod projected;
mod row;

use async_trait::async_trait;
use flexcore_domain::{ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::{StreamName, Timestamp};

pub use filter::{
    DataStreamFilter, ExecutionFilter, Expiring, MetricFilter, Page, PipelineFilter, PluginFilter,
};
pub use projected::{ApplyError, Checkpoint, Fold, ProjectedRows, ProjectionStatus, Stopped};
pub use row::{
    BookmarkSummary, DataStreamRow, ExecutionRow, MetricKey, MetricRow, NoteRow, PipelineRow,
    PluginKey, PluginRole, PluginRow, RowKey, SchemaSummary, SyncSummary, ViewRow,
};

use crate::StoreError;

/// The key of the note in which a store tells the projection of executions since when it keeps
/// those that ended: the microseconds of that time, as text. Older rows may be gone.
pub const KEPT_FROM_NOTE: &str = "kept-from";

/// Where all views are kept.
pub trait ViewStore:
    PipelineViews + ExecutionViews + PluginViews + DataStreamViews + MetricViews + ProjectedRows
{
}

impl<T> ViewStore for T where
    T: PipelineViews + ExecutionViews + PluginViews + DataStreamViews + MetricViews + ProjectedRows
{
}

/// The pipeline status view.
#[async_trait]
pub trait PipelineViews: Send + Sync {
    /// One pipeline of a tenant by name: of those that had it, the newest that is not archived.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_pipeline(
        &self,
        tenant: &str,
        name: &PipelineName,
    ) -> Result<Option<PipelineRow>, StoreError>;

    /// One pipeline of a tenant by id.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_pipeline_by_id(
        &self,
        tenant: &str,
        id: PipelineId,
    ) -> Result<Option<PipelineRow>, StoreError>;

    /// The tenants that have pipelines, archived ones included, in the order of their names.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn tenants(&self) -> Result<Vec<String>, StoreError>;

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
}

/// The execution history view.
#[async_trait]
pub trait ExecutionViews: Send + Sync {
    /// One execution of a tenant.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_execution(
        &self,
        tenant: &str,
        id: ExecutionId,
    ) -> Result<Option<ExecutionRow>, StoreError>;

    /// The executions of all tenants that are `queued` or `running`, the oldest first: for whoever
    /// drives them.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unfinished_executions(&self, limit: usize) -> Result<Vec<ExecutionRow>, StoreError>;

    /// A page of executions, newest first. Those with an id prefix come by id: ids begin with the
    /// time at which they were made.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_executions(
        &self,
        filter: &ExecutionFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ExecutionRow>, StoreError>;

    /// Removes executions that were created before `time` and have ended; gives back how many. Of
    /// all pipelines together a store may remove whole periods only and keep some of them. Their
    /// events stay in the log, and building the views again brings the rows back.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn remove_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError>;

    /// How many executions [`remove_executions_before`](Self::remove_executions_before) would
    /// remove.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn count_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError>;
}

/// The plugin inventory view.
#[async_trait]
pub trait PluginViews: Send + Sync {
    /// One plugin.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_plugin(&self, key: &PluginKey) -> Result<Option<PluginRow>, StoreError>;

    /// A page of plugins, by name and role.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_plugins(
        &self,
        filter: &PluginFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PluginRow>, StoreError>;
}

/// The data stream view.
#[async_trait]
pub trait DataStreamViews: Send + Sync {
    /// One data stream.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn find_data_stream(
        &self,
        stream: &StreamName,
    ) -> Result<Option<DataStreamRow>, StoreError>;

    /// A page of data streams, by pipeline and stream name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_data_streams(
        &self,
        filter: &DataStreamFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<DataStreamRow>, StoreError>;
}

/// The system metrics view.
#[async_trait]
pub trait MetricViews: Send + Sync {
    /// A page of metrics, by name and labels.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list_metrics(
        &self,
        filter: &MetricFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<MetricRow>, StoreError>;
}
