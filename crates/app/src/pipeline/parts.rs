//! ListPipelineSteps and ListPipelineExecutions.

use std::sync::Arc;

use async_trait::async_trait;
use flexcore_api::{ExecutionPage, ListPipelineExecutions, ListPipelineSteps, PipelineStepList};
use flexcore_ports::ExecutionFilter;

use super::get::outline;
use crate::{
    HandleQuery, RequestContext, Services, UseCaseError, execution::execution_summary,
    projection::View,
};

#[async_trait]
impl HandleQuery<ListPipelineSteps> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPipelineSteps,
    ) -> Result<PipelineStepList, UseCaseError> {
        let (pipeline, _) = self.named_pipeline(context, &query.name).await?;
        let version = query.version.unwrap_or(pipeline.version);
        let definition = self.definition_of_version(context, &pipeline, version).await?;
        let items = definition.steps.iter().map(outline).collect();
        Ok(PipelineStepList { id: pipeline.id.to_string(), version, items })
    }
}

#[async_trait]
impl HandleQuery<ListPipelineExecutions> for Services {
    /// A pipeline that is not there has no list, not even an empty one. What ran under the same name
    /// before or after it is left out, so that a page can be short.
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPipelineExecutions,
    ) -> Result<ExecutionPage, UseCaseError> {
        let ListPipelineExecutions { pipeline, statuses, limit, after } = query;
        let (pipeline, _) = self.named_pipeline(context, &pipeline).await?;
        self.up_to_date(View::Executions).await?;
        let filter = ExecutionFilter {
            pipeline: Some(pipeline.definition.name.clone()),
            statuses,
            ..ExecutionFilter::of(Arc::clone(&context.tenant))
        };
        let page = self.ports.views.list_executions(&filter, limit, after.as_deref()).await?;
        let own = page.items.into_iter().filter(|row| row.pipeline_id == pipeline.id);
        Ok(ExecutionPage { items: own.map(execution_summary).collect(), next: page.next })
    }
}
