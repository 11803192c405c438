//! UpdatePipeline.

use async_trait::async_trait;
use flexcore_api::{PipelineSaved, UpdatePipeline};
use flexcore_domain::pipeline::PipelineCommand;

use super::{
    change::{Changed, must_be_at},
    definition_of, is_same,
};
use crate::{HandleCommand, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<UpdatePipeline> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: UpdatePipeline,
    ) -> Result<PipelineSaved, UseCaseError> {
        let definition = definition_of(&command.document)?;
        let expected_version = command.expected_version;
        let (pipeline, aggregate_version) = self.named_pipeline(context, &command.name).await?;
        let id = pipeline.id.to_string();
        if is_same(&pipeline.definition, &definition) {
            must_be_at(&pipeline, expected_version, aggregate_version)?;
            let version = pipeline.version;
            return Ok(PipelineSaved { id, version, aggregate_version, position: 0 });
        }
        let update = PipelineCommand::Update { definition };
        let Changed { pipeline, aggregate_version, position } =
            self.change_pipeline(context, pipeline.id, expected_version, &update).await?;
        Ok(PipelineSaved { id, version: pipeline.version, aggregate_version, position })
    }
}
