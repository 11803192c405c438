//! Use cases of pipelines.

mod create;
mod get;
mod list;
mod status;
mod update;

use flexcore_domain::{
    NameReservation, Pipeline, PipelineDefinition, PipelineId, PipelineName,
    pipeline::PipelineEvent,
};
use flexcore_pipeline_file::same_definition;
use serde_json::Value;

use crate::{CommandBus, RequestContext, Services, UseCaseError, repository::decode, streams};
use flexcore_api::{CreatePipeline, PipelineSaved, UpdatePipeline};

/// Registers a definition: creates its pipeline, or gives the one of that name a new version if
/// the definition differs.
///
/// # Errors
/// [`UseCaseError`] of either command.
pub async fn save_pipeline(
    bus: &CommandBus,
    services: &Services,
    context: &RequestContext,
    definition: &PipelineDefinition,
) -> Result<PipelineSaved, UseCaseError> {
    let document = definition.document.clone();
    if services.find_pipeline_id(context, &definition.name).await?.is_some() {
        bus.execute(context, UpdatePipeline { document }).await
    } else {
        bus.execute(context, CreatePipeline { document }).await
    }
}

impl Services {
    /// The pipeline that has a name now.
    pub(crate) async fn find_pipeline_id(
        &self,
        context: &RequestContext,
        name: &PipelineName,
    ) -> Result<Option<PipelineId>, UseCaseError> {
        let stream = streams::pipeline_name(&context.tenant, name);
        let reservation = self.load::<NameReservation>(&stream).await?;
        Ok(reservation.state.and_then(|reservation| reservation.holder))
    }

    /// The pipeline that a caller names.
    pub(crate) async fn get_pipeline(
        &self,
        context: &RequestContext,
        name: &str,
    ) -> Result<Pipeline, UseCaseError> {
        let not_found = || UseCaseError::NotFound {
            what: "pipeline",
            name: name.to_owned(),
            hint: Some("`flexcore pipeline list` shows those that were run before".to_owned()),
        };
        let parsed: PipelineName = name.parse().map_err(|_| not_found())?;
        let id = self.find_pipeline_id(context, &parsed).await?.ok_or_else(not_found)?;
        let stream = streams::pipeline(&context.tenant, id);
        self.load::<Pipeline>(&stream).await?.state.ok_or_else(not_found)
    }

    /// A pipeline's definition in one of its versions.
    pub(crate) async fn definition_at(
        &self,
        context: &RequestContext,
        id: PipelineId,
        version: u32,
    ) -> Result<PipelineDefinition, UseCaseError> {
        let stream = streams::pipeline(&context.tenant, id);
        let recorded = self.history(&stream, 1).await?;
        let defined = |event: PipelineEvent| match event {
            PipelineEvent::Created { definition, .. } if version == 1 => Some(definition),
            PipelineEvent::Updated { version: v, definition } if v == version => Some(definition),
            _ => None,
        };
        let events = decode::<PipelineEvent>(&stream, &recorded)?;
        events.into_iter().find_map(defined).ok_or_else(|| UseCaseError::NotFound {
            what: "version of the pipeline",
            name: version.to_string(),
            hint: None,
        })
    }
}

/// The definition that a document describes.
fn definition_of(document: &Value) -> Result<PipelineDefinition, UseCaseError> {
    flexcore_pipeline_file::definition_of(document)
        .map_err(|error| UseCaseError::invalid(format!("the document is no definition: {error}")))
}

/// Whether two definitions are the same but for the places where they stand in their files.
fn is_same(a: &PipelineDefinition, b: &PipelineDefinition) -> bool {
    same_definition(&a.document, &b.document)
}
