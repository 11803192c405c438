//! Changes of a pipeline that is there.

use flexcore_domain::{
    NameReservation, Pipeline, PipelineId,
    pipeline::{PipelineCommand, PipelineEvent},
    pipeline_name::NameCommand,
};
use flexcore_eventsourcing::{Aggregate, Append, Timestamp};
use flexcore_ports::AppendError;

use crate::{
    RequestContext, Services, UseCaseError,
    repository::{ATTEMPTS_ON_CONFLICT, Loaded},
    streams,
};

/// A pipeline after a change, or as it was if there was nothing to change.
#[derive(Debug)]
pub(super) struct Changed {
    pub(super) pipeline: Pipeline,
    /// How many events its stream has.
    pub(super) aggregate_version: u64,
    /// The log's position after the change; 0: nothing changed.
    pub(super) position: u64,
}

impl Services {
    /// Changes a pipeline, if it has changed as often as the caller believes. Archiving gives its
    /// name back in the same append.
    pub(super) async fn change_pipeline(
        &self,
        context: &RequestContext,
        id: PipelineId,
        expected_version: Option<u64>,
        command: &PipelineCommand,
    ) -> Result<Changed, UseCaseError> {
        let stream = streams::pipeline(&context.tenant, id);
        for _ in 0..ATTEMPTS_ON_CONFLICT {
            let Loaded { state, version } = self.load::<Pipeline>(&stream).await?;
            let pipeline = state.ok_or_else(|| not_found(&id.to_string()))?;
            must_be_at(&pipeline, expected_version, version)?;
            let now = self.ports.clock.now();
            let events = Pipeline::decide(Some(&pipeline), command, now)?;
            if events.is_empty() {
                return Ok(Changed { pipeline, aggregate_version: version, position: 0 });
            }
            let mut append = Append::to(stream.clone(), version, self.envelopes(context, &events));
            if events.contains(&PipelineEvent::Archived) {
                append = append.and(self.release_of(context, &pipeline, now).await?);
            }
            match self.append(context, append).await {
                Ok(appended) => {
                    let pipeline = evolved(pipeline, version, &events).map_err(|source| {
                        UseCaseError::IllegalHistory { stream: stream.clone(), source }
                    })?;
                    let aggregate_version = version + events.len() as u64;
                    let position = appended.last_position;
                    return Ok(Changed { pipeline, aggregate_version, position });
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(UseCaseError::Busy { stream })
    }

    /// Gives the name of a pipeline back.
    async fn release_of(
        &self,
        context: &RequestContext,
        pipeline: &Pipeline,
        now: Timestamp,
    ) -> Result<Append, UseCaseError> {
        let stream = streams::pipeline_name(&context.tenant, &pipeline.definition.name);
        let Loaded { state, version } = self.load::<NameReservation>(&stream).await?;
        let release = NameCommand::Release(pipeline.id);
        let events = NameReservation::decide(state.as_ref(), &release, now)?;
        Ok(Append::to(stream, version, self.envelopes(context, &events)))
    }
}

fn evolved(
    pipeline: Pipeline,
    version: u64,
    events: &[PipelineEvent],
) -> Result<Pipeline, flexcore_eventsourcing::FoldError> {
    let folded = flexcore_eventsourcing::fold(Some(pipeline), version + 1, events)?;
    Ok(folded.expect("folding on a state gives a state"))
}

/// Refuses if the pipeline has changed since the caller looked at it.
pub(super) fn must_be_at(
    pipeline: &Pipeline,
    expected: Option<u64>,
    found: u64,
) -> Result<(), UseCaseError> {
    match expected {
        Some(expected) if expected != found => Err(UseCaseError::Changed {
            what: "pipeline",
            name: pipeline.definition.name.to_string(),
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

/// That there is no such pipeline.
pub(super) fn not_found(name: &str) -> UseCaseError {
    UseCaseError::NotFound {
        what: "pipeline",
        name: name.to_owned(),
        hint: Some("`flexcore pipeline list` shows those that were run before".to_owned()),
    }
}
