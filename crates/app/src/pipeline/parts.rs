//! ListPipelineSteps and ListPipelineExecutions.

use async_trait::async_trait;
use flexcore_api::{
    ExecutionPage, ListExecutions, ListPipelineExecutions, ListPipelineSteps, PipelineStepList,
};

use super::get::outline;
use crate::{HandleQuery, RequestContext, Services, UseCaseError};

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
    /// A pipeline that is not there has no list, not even an empty one.
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPipelineExecutions,
    ) -> Result<ExecutionPage, UseCaseError> {
        let ListPipelineExecutions { name, statuses, limit, after } = query;
        let (pipeline, _) = self.named_pipeline(context, &name).await?;
        let pipeline = Some(pipeline.definition.name.to_string());
        self.answer(context, ListExecutions { pipeline, statuses, limit, after }).await
    }
}
