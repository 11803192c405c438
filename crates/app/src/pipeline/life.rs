//! ActivatePipeline, DeactivatePipeline and ArchivePipeline.

use async_trait::async_trait;
use flexcore_api::{ActivatePipeline, ArchivePipeline, DeactivatePipeline, PipelineStatusChanged};
use flexcore_domain::pipeline::PipelineCommand;

use super::change::Changed;
use crate::{HandleCommand, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<ActivatePipeline> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: ActivatePipeline,
    ) -> Result<PipelineStatusChanged, UseCaseError> {
        let ActivatePipeline { name, expected_version } = command;
        self.live(context, &name, expected_version, PipelineCommand::Activate).await
    }
}

#[async_trait]
impl HandleCommand<DeactivatePipeline> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: DeactivatePipeline,
    ) -> Result<PipelineStatusChanged, UseCaseError> {
        let DeactivatePipeline { name, expected_version } = command;
        self.live(context, &name, expected_version, PipelineCommand::Deactivate).await
    }
}

#[async_trait]
impl HandleCommand<ArchivePipeline> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: ArchivePipeline,
    ) -> Result<PipelineStatusChanged, UseCaseError> {
        let ArchivePipeline { name, expected_version } = command;
        self.live(context, &name, expected_version, PipelineCommand::Archive).await
    }
}

impl Services {
    async fn live(
        &self,
        context: &RequestContext,
        name: &str,
        expected_version: Option<u64>,
        command: PipelineCommand,
    ) -> Result<PipelineStatusChanged, UseCaseError> {
        let (pipeline, _) = self.named_pipeline(context, name).await?;
        let Changed { pipeline, aggregate_version, position } =
            self.change_pipeline(context, pipeline.id, expected_version, &command).await?;
        Ok(PipelineStatusChanged {
            id: pipeline.id.to_string(),
            name: pipeline.definition.name.to_string(),
            status: pipeline.status.as_str().to_owned(),
            aggregate_version,
            position,
        })
    }
}
