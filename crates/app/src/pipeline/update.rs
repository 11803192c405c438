//! UpdatePipeline.

use async_trait::async_trait;
use flexcore_api::{PipelineSaved, UpdatePipeline};
use flexcore_domain::{Pipeline, pipeline::PipelineCommand};

use super::{definition_of, is_same};
use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<UpdatePipeline> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: UpdatePipeline,
    ) -> Result<PipelineSaved, UseCaseError> {
        let definition = definition_of(&command.document)?;
        let name = definition.name.to_string();
        let pipeline = self.get_pipeline(context, &name).await?;
        let id = pipeline.id.to_string();
        if is_same(&pipeline.definition, &definition) {
            return Ok(PipelineSaved { id, version: pipeline.version, position: 0 });
        }
        let stream = streams::pipeline(&context.tenant, pipeline.id);
        let update = PipelineCommand::Update { definition };
        let position = self.change::<Pipeline>(context, &stream, &update).await?;
        let version = self.get_pipeline(context, &name).await?.version;
        Ok(PipelineSaved { id, version, position })
    }
}
