//! GetPipelineStatus.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use flexcore_api::{GetPipelineStatus, PipelineStatusView};
use flexcore_domain::{ExecutionStatus, PipelineName};
use flexcore_ports::{ExecutionFilter, RowKey, ViewRow};

use super::{change::not_found, list::summary};
use crate::{
    HandleQuery, RequestContext, Services, UseCaseError,
    execution::execution_summary,
    projection::{View, metric},
};

/// In the order of an execution's life.
const STATUSES: [ExecutionStatus; 5] = [
    ExecutionStatus::Queued,
    ExecutionStatus::Running,
    ExecutionStatus::Completed,
    ExecutionStatus::Failed,
    ExecutionStatus::Cancelled,
];

#[async_trait]
impl HandleQuery<GetPipelineStatus> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetPipelineStatus,
    ) -> Result<PipelineStatusView, UseCaseError> {
        let not_found = || not_found(&query.name);
        let name: PipelineName = query.name.parse().map_err(|_| not_found())?;
        for view in [View::Pipelines, View::Executions, View::Metrics] {
            self.up_to_date(view).await?;
        }
        let views = &self.ports.views;
        let pipeline = views.find_pipeline(&context.tenant, &name).await?.ok_or_else(not_found)?;
        let filter = ExecutionFilter {
            pipeline: Some(name),
            ..ExecutionFilter::of(Arc::clone(&context.tenant))
        };
        let newest = views.list_executions(&filter, 1, None).await?.items.into_iter().next();
        Ok(PipelineStatusView {
            pipeline: summary(pipeline),
            executions: self.counted(&context.tenant, &query.name).await?,
            last_execution: newest.map(execution_summary),
        })
    }
}

impl Services {
    /// How many executions of a pipeline there are with each status. Counting them would take
    /// longer the more there are; the view of metrics has counted them.
    async fn counted(
        &self,
        tenant: &str,
        pipeline: &str,
    ) -> Result<BTreeMap<String, u64>, UseCaseError> {
        let key = |status: ExecutionStatus| {
            let labels = [("tenant", tenant), ("pipeline", pipeline), ("status", status.as_str())];
            RowKey::Metric(metric("pipeline_executions", &labels))
        };
        let keys = STATUSES.map(key).to_vec();
        let rows = self.ports.views.load(View::Metrics.name(), keys).await?;
        let count = |row| match row {
            ViewRow::Metric(row) => {
                Some((row.key.labels.get("status")?.clone(), u64::try_from(row.value).ok()?))
            }
            _ => None,
        };
        Ok(rows.into_iter().filter_map(count).collect())
    }
}
