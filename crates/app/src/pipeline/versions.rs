//! ListPipelineVersions.

use async_trait::async_trait;
use flexcore_api::{ListPipelineVersions, PipelineVersionPage, PipelineVersionView};
use flexcore_domain::{PipelineDefinition, pipeline::PipelineEvent};
use flexcore_eventsourcing::RecordedEvent;

use crate::{
    HandleQuery, RequestContext, Services, UseCaseError, format_time, repository::decode, streams,
};

/// The most versions that one page has.
const MAX_PAGE: usize = 1_000;

#[async_trait]
impl HandleQuery<ListPipelineVersions> for Services {
    /// Folds the pipeline's stream; no view is asked.
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPipelineVersions,
    ) -> Result<PipelineVersionPage, UseCaseError> {
        let below: Option<u32> = query
            .after
            .as_deref()
            .map(|cursor| cursor.parse().map_err(|_| not_a_cursor(cursor)))
            .transpose()?;
        let (pipeline, _) = self.named_pipeline(context, &query.name).await?;
        let stream = streams::pipeline(&context.tenant, pipeline.id);
        let recorded = self.history(&stream, 1).await?;
        let events = decode::<PipelineEvent>(&stream, &recorded)?;
        let versions = recorded.iter().zip(&events).filter_map(|(recorded, event)| match event {
            PipelineEvent::Created { definition, .. } => Some(view(recorded, 1, definition)),
            PipelineEvent::Updated { version, definition } => {
                Some(view(recorded, *version, definition))
            }
            _ => None,
        });
        let mut versions: Vec<_> =
            versions.filter(|version| below.is_none_or(|below| version.version < below)).collect();
        versions.reverse();
        let limit = query.limit.clamp(1, MAX_PAGE);
        let more = versions.len() > limit;
        versions.truncate(limit);
        let next = versions.last().filter(|_| more).map(|version| version.version.to_string());
        Ok(PipelineVersionPage { items: versions, next })
    }
}

fn view(
    recorded: &RecordedEvent,
    version: u32,
    definition: &PipelineDefinition,
) -> PipelineVersionView {
    PipelineVersionView {
        version,
        created_at: format_time(recorded.event.occurred_at),
        actor: recorded.event.context.actor.to_string(),
        steps: u32::try_from(definition.steps.len()).unwrap_or(u32::MAX),
        description: definition.description.clone(),
        position: recorded.position,
    }
}

fn not_a_cursor(text: &str) -> UseCaseError {
    UseCaseError::invalid(format!("`{text}` does not continue this list"))
}
