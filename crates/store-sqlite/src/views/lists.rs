//! The traits of the five views.

use async_trait::async_trait;
use flexcore_domain::{ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    DataStreamFilter, DataStreamRow, DataStreamViews, ExecutionFilter, ExecutionRow,
    ExecutionViews, Expiring, MetricFilter, MetricRow, MetricViews, Page, PipelineFilter,
    PipelineRow, PipelineViews, PluginFilter, PluginKey, PluginRow, PluginViews, StoreError,
};
use rusqlite::Connection;

use super::{SqliteViewStore, data_streams, executions, metrics, notes, pipelines, plugins};
use crate::error::store_error;

/// How many rows one transaction removes: others may write between two of them.
const REMOVED_AT_ONCE: u64 = 10_000;

#[async_trait]
impl PipelineViews for SqliteViewStore {
    async fn find_pipeline(
        &self,
        tenant: &str,
        name: &PipelineName,
    ) -> Result<Option<PipelineRow>, StoreError> {
        let (tenant, name) = (tenant.to_owned(), name.clone());
        self.read(move |connection| pipelines::find(connection, &tenant, &name)).await
    }

    async fn find_pipeline_by_id(
        &self,
        tenant: &str,
        id: PipelineId,
    ) -> Result<Option<PipelineRow>, StoreError> {
        let found = self.read(move |connection| pipelines::find_by_id(connection, id)).await?;
        Ok(found.filter(|row| *row.tenant == *tenant))
    }

    async fn tenants(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            pipelines::tenants(connection).map_err(|error| store_error(&error, "table pipeline"))
        })
        .await
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PipelineRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        self.read(move |connection| pipelines::list(connection, &filter, limit, after.as_deref()))
            .await
    }
}

#[async_trait]
impl ExecutionViews for SqliteViewStore {
    async fn find_execution(
        &self,
        tenant: &str,
        id: ExecutionId,
    ) -> Result<Option<ExecutionRow>, StoreError> {
        let found = self.read(move |connection| executions::find(connection, id)).await?;
        Ok(found.filter(|row| *row.tenant == *tenant))
    }

    async fn unfinished_executions(&self, limit: usize) -> Result<Vec<ExecutionRow>, StoreError> {
        self.read(move |connection| executions::unfinished(connection, limit)).await
    }

    async fn list_executions(
        &self,
        filter: &ExecutionFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ExecutionRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        self.read(move |connection| executions::list(connection, &filter, limit, after.as_deref()))
            .await
    }

    async fn remove_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let of = of.clone();
            let some = move |connection: &Connection| {
                notes::keep_from(connection, time)?;
                executions::remove_some(connection, time, &of, REMOVED_AT_ONCE)
            };
            let result = self.place().write(some).await;
            let count = self.heal(result)?;
            removed += count;
            if count < REMOVED_AT_ONCE {
                return Ok(removed);
            }
        }
    }

    async fn count_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError> {
        let of = of.clone();
        self.read(move |connection| {
            executions::count_before(connection, time, &of)
                .map_err(|error| store_error(&error, "table execution"))
        })
        .await
    }
}

#[async_trait]
impl PluginViews for SqliteViewStore {
    async fn find_plugin(&self, key: &PluginKey) -> Result<Option<PluginRow>, StoreError> {
        let key = key.clone();
        self.read(move |connection| plugins::find(connection, &key)).await
    }

    async fn list_plugins(
        &self,
        filter: &PluginFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PluginRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        self.read(move |connection| plugins::list(connection, &filter, limit, after.as_deref()))
            .await
    }
}

#[async_trait]
impl DataStreamViews for SqliteViewStore {
    async fn find_data_stream(
        &self,
        stream: &StreamName,
    ) -> Result<Option<DataStreamRow>, StoreError> {
        let stream = stream.clone();
        self.read(move |connection| data_streams::find(connection, &stream)).await
    }

    async fn list_data_streams(
        &self,
        filter: &DataStreamFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<DataStreamRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        self.read(move |connection| {
            data_streams::list(connection, &filter, limit, after.as_deref())
        })
        .await
    }
}

#[async_trait]
impl MetricViews for SqliteViewStore {
    async fn list_metrics(
        &self,
        filter: &MetricFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<MetricRow>, StoreError> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        self.read(move |connection| metrics::list(connection, &filter, limit, after.as_deref()))
            .await
    }
}
