//! GetPipeline.

use async_trait::async_trait;
use flexcore_api::{GetPipeline, PipelineView, StepOutline};
use flexcore_domain::StepDefinition;

use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<GetPipeline> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetPipeline,
    ) -> Result<PipelineView, UseCaseError> {
        let (pipeline, aggregate_version) = self.named_pipeline(context, &query.name).await?;
        let version = query.version.unwrap_or(pipeline.version);
        let definition = self.definition_of_version(context, &pipeline, version).await?;
        Ok(PipelineView {
            id: pipeline.id.to_string(),
            name: definition.name.to_string(),
            status: pipeline.status.as_str().to_owned(),
            version,
            aggregate_version,
            description: definition.description,
            owner: definition.owner,
            tags: definition.tags,
            steps: definition.steps.iter().map(outline).collect(),
            document: definition.document,
        })
    }
}

pub(super) fn outline(step: &StepDefinition) -> StepOutline {
    StepOutline {
        id: step.id.to_string(),
        kind: step.kind.as_str().to_owned(),
        needs: step.needs.iter().map(ToString::to_string).collect(),
        when: step.when.as_ref().map(|condition| condition.expression.clone()),
    }
}
