//! ListExecutions.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{ExecutionPage, ExecutionSummary, ListExecutions};
use flexcore_ports::{ExecutionFilter, ExecutionRow};

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, projection::View};

#[async_trait]
impl HandleQuery<ListExecutions> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListExecutions,
    ) -> Result<ExecutionPage, UseCaseError> {
        self.up_to_date(View::Executions).await?;
        let pipeline = query.pipeline.map(|name| name.parse()).transpose();
        let pipeline = pipeline.map_err(|error: flexcore_domain::InvalidName| {
            UseCaseError::invalid(error.to_string())
        })?;
        let filter = ExecutionFilter {
            pipeline,
            statuses: query.statuses,
            ..ExecutionFilter::of(Arc::clone(&context.tenant))
        };
        let views = &self.ports.views;
        let page = views.list_executions(&filter, query.limit, query.after.as_deref()).await?;
        Ok(ExecutionPage {
            items: page.items.into_iter().map(execution_summary).collect(),
            next: page.next,
        })
    }
}

pub(crate) fn execution_summary(row: ExecutionRow) -> ExecutionSummary {
    let duration = row.started_at.zip(row.ended_at).map(|(begin, end)| end.duration_since(begin));
    ExecutionSummary {
        id: row.id.to_string(),
        pipeline: row.pipeline.to_string(),
        version: row.version,
        environment: row.environment.to_string(),
        status: row.status,
        created_at: format_time(row.created_at),
        ended_at: row.ended_at.map(format_time),
        duration_ms: duration.map(|elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
        error: row.error,
    }
}
