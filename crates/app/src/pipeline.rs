//! Use cases of pipelines.

mod change;
mod create;
mod get;
mod life;
mod list;
mod parts;
mod status;
mod update;
mod versions;

use std::sync::Arc;

use flexcore_domain::{
    NameReservation, Pipeline, PipelineDefinition, PipelineId, PipelineName,
    pipeline::PipelineEvent,
};
use flexcore_pipeline_file::same_definition;
use serde_json::Value;

use crate::{
    CommandBus, RequestContext, Services, UseCaseError,
    repository::{Loaded, decode},
    streams,
};
use change::not_found;
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
    let (name, document) = (definition.name.to_string(), definition.document.clone());
    if services.find_pipeline_id(context, &definition.name).await?.is_some() {
        bus.execute(context, UpdatePipeline { name, document, expected_version: None }).await
    } else {
        bus.execute(context, CreatePipeline { document, idempotency_key: None }).await
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
        let reservation = self.load_shared::<NameReservation>(&stream).await?;
        Ok(reservation.state.and_then(|reservation| reservation.holder))
    }

    /// The pipeline that a caller names.
    pub(crate) async fn get_pipeline(
        &self,
        context: &RequestContext,
        name: &str,
    ) -> Result<Arc<Pipeline>, UseCaseError> {
        Ok(self.named_pipeline(context, name).await?.0)
    }

    /// The pipeline that a caller names, by its name or its id, and how many events it has.
    /// Archived ones have no name any more.
    pub(crate) async fn named_pipeline(
        &self,
        context: &RequestContext,
        name: &str,
    ) -> Result<(Arc<Pipeline>, u64), UseCaseError> {
        let by_id = async |id: PipelineId| -> Result<_, UseCaseError> {
            let stream = streams::pipeline(&context.tenant, id);
            let Loaded { state, version } = self.load_shared::<Pipeline>(&stream).await?;
            Ok(state.map(|pipeline| (pipeline, version)))
        };
        if let Ok(id) = name.parse::<PipelineId>()
            && let Some(found) = by_id(id).await?
        {
            return Ok(found);
        }
        let parsed: PipelineName = name.parse().map_err(|_| not_found(name))?;
        let id = self.find_pipeline_id(context, &parsed).await?.ok_or_else(|| not_found(name))?;
        by_id(id).await?.ok_or_else(|| not_found(name))
    }

    /// A pipeline's definition in one of its versions.
    async fn definition_of_version(
        &self,
        context: &RequestContext,
        pipeline: &Pipeline,
        version: u32,
    ) -> Result<PipelineDefinition, UseCaseError> {
        if version == pipeline.version {
            return Ok(pipeline.definition.clone());
        }
        self.definition_at(context, pipeline.id, version).await
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
