//! The traits of the five views.

use async_trait::async_trait;
use flexcore_domain::{ExecutionId, PipelineId, PipelineName};
use flexcore_eventsourcing::{StreamName, Timestamp};
use flexcore_ports::{
    DataStreamFilter, DataStreamRow, DataStreamViews, ExecutionFilter, ExecutionRow,
    ExecutionViews, Expiring, MetricFilter, MetricRow, MetricViews, Page, PipelineFilter,
    PipelineRow, PipelineViews, PluginFilter, PluginKey, PluginRow, PluginViews, StoreError,
};

use super::{
    Parameter, PostgresViewStore, columns::text, data_streams, executions, metrics, pipelines,
    plugins,
};
use crate::error::store_error;

#[async_trait]
impl PipelineViews for PostgresViewStore {
    async fn find_pipeline(
        &self,
        tenant: &str,
        name: &PipelineName,
    ) -> Result<Option<PipelineRow>, StoreError> {
        pipelines::find(self, tenant, name).await
    }

    async fn find_pipeline_by_id(
        &self,
        tenant: &str,
        id: PipelineId,
    ) -> Result<Option<PipelineRow>, StoreError> {
        let found = pipelines::find_by_ids(self, vec![id.0]).await?.pop();
        Ok(found.filter(|row| *row.tenant == *tenant))
    }

    async fn tenants(&self) -> Result<Vec<String>, StoreError> {
        pipelines::tenants(self).await
    }

    async fn list_pipelines(
        &self,
        filter: &PipelineFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PipelineRow>, StoreError> {
        pipelines::list(self, filter, limit, after).await
    }
}

#[async_trait]
impl ExecutionViews for PostgresViewStore {
    async fn find_execution(
        &self,
        tenant: &str,
        id: ExecutionId,
    ) -> Result<Option<ExecutionRow>, StoreError> {
        let found = executions::find_by_ids(self, vec![id.0]).await?.pop();
        Ok(found.filter(|row| *row.tenant == *tenant))
    }

    async fn unfinished_executions(&self, limit: usize) -> Result<Vec<ExecutionRow>, StoreError> {
        executions::unfinished(self, limit).await
    }

    async fn list_executions(
        &self,
        filter: &ExecutionFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ExecutionRow>, StoreError> {
        executions::list(self, filter, limit, after).await
    }

    async fn remove_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError> {
        let client = self.pool.get().await?;
        let failed = |error: tokio_postgres::Error| store_error(&error);
        let generation = self.ask_generation(&client).await.map_err(failed)?;
        let time = time.as_micros();
        let row = match of {
            Expiring::AllBut(pipelines) => {
                let kept: Vec<_> = pipelines.iter().map(|id| id.0).collect();
                let sql = "SELECT flexcore.views_remove_before($1, $2, $3)";
                client.query_one(sql, &[&generation, &time, &kept]).await
            }
            Expiring::OfPipeline { tenant, name, id } => {
                let sql = "SELECT flexcore.views_remove_of_pipeline($1, $2, $3, $4, $5)";
                let (tenant, name) = (text(tenant), name.to_string());
                client.query_one(sql, &[&generation, &time, &tenant, &name, &id.0]).await
            }
        };
        // Partitions that went must be made again before rows of their months come.
        self.months().clear();
        Ok(row.map_err(failed)?.get::<_, i64>(0).max(0).cast_unsigned())
    }

    async fn count_executions_before(
        &self,
        time: Timestamp,
        of: &Expiring,
    ) -> Result<u64, StoreError> {
        let (sql, parameters): (_, Vec<Parameter>) = match of {
            // Months go as a whole; what has no month of its own goes by its time.
            Expiring::AllBut(pipelines) => {
                let kept: Vec<_> = pipelines.iter().map(|id| id.0).collect();
                let sql = "SELECT count(*) FROM flexcore.view_#_execution \
                    WHERE status IN ('completed', 'failed', 'cancelled') AND created_at < $1 \
                    AND (tableoid = 'flexcore.view_#_execution_other'::regclass \
                      OR created_at < (extract(epoch FROM date_trunc('month', \
                        to_timestamp($1::bigint / 1000000) AT TIME ZONE 'UTC')) * 1000000)::bigint) \
                    AND NOT pipeline_id = ANY ($2)";
                (sql, vec![Box::new(time.as_micros()), Box::new(kept)])
            }
            Expiring::OfPipeline { tenant, name, id } => {
                let sql = "SELECT count(*) FROM flexcore.view_#_execution \
                    WHERE status IN ('completed', 'failed', 'cancelled') AND created_at < $1 \
                    AND tenant = $2 AND pipeline = $3 AND pipeline_id = $4";
                let (tenant, name) = (text(tenant), name.to_string());
                let time = time.as_micros();
                (sql, vec![Box::new(time), Box::new(tenant), Box::new(name), Box::new(id.0)])
            }
        };
        let rows = self.rows(sql, &parameters).await?;
        let count: i64 = rows.first().map_or(0, |row| row.get(0));
        Ok(count.max(0).cast_unsigned())
    }
}

#[async_trait]
impl PluginViews for PostgresViewStore {
    async fn find_plugin(&self, key: &PluginKey) -> Result<Option<PluginRow>, StoreError> {
        Ok(plugins::find_by_keys(self, std::slice::from_ref(key)).await?.pop())
    }

    async fn list_plugins(
        &self,
        filter: &PluginFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<PluginRow>, StoreError> {
        plugins::list(self, filter, limit, after).await
    }
}

#[async_trait]
impl DataStreamViews for PostgresViewStore {
    async fn find_data_stream(
        &self,
        stream: &StreamName,
    ) -> Result<Option<DataStreamRow>, StoreError> {
        Ok(data_streams::find_by_names(self, std::slice::from_ref(stream)).await?.pop())
    }

    async fn list_data_streams(
        &self,
        filter: &DataStreamFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<DataStreamRow>, StoreError> {
        data_streams::list(self, filter, limit, after).await
    }
}

#[async_trait]
impl MetricViews for PostgresViewStore {
    async fn list_metrics(
        &self,
        filter: &MetricFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<MetricRow>, StoreError> {
        metrics::list(self, filter, limit, after).await
    }
}
