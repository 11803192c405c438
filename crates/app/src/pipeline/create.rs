//! CreatePipeline.

use async_trait::async_trait;
use flexcore_api::{CreatePipeline, PipelineSaved};
use flexcore_domain::{
    NameReservation, Pipeline, PipelineDefinition, PipelineId, pipeline::PipelineCommand,
    pipeline_name::NameCommand,
};
use flexcore_eventsourcing::{Aggregate, Append};
use flexcore_ports::AppendError;
use uuid::Uuid;

use super::{definition_of, is_same};
use crate::{HandleCommand, RequestContext, Services, UseCaseError, repository::Loaded, streams};

/// The namespace of pipeline ids that derive from an idempotency key.
const KEYS: Uuid = Uuid::from_u128(0x3c52_8e0b_41f7_4f0a_9a6e_d1b8_77c4_20e3);

#[async_trait]
impl HandleCommand<CreatePipeline> for Services {
    /// The name and the pipeline go into one append: either both are there or none.
    async fn handle(
        &self,
        context: &RequestContext,
        command: CreatePipeline,
    ) -> Result<PipelineSaved, UseCaseError> {
        let definition = definition_of(&command.document)?;
        let id = match &command.idempotency_key {
            None => PipelineId(self.ports.ids.next()),
            Some(key) => derived_id(context, key),
        };
        if command.idempotency_key.is_some()
            && let Some(saved) = self.saved_before(context, id, &definition).await?
        {
            return Ok(saved);
        }
        let now = self.ports.clock.now();
        let name_stream = streams::pipeline_name(&context.tenant, &definition.name);
        let name = self.load::<NameReservation>(&name_stream).await?;
        let reserve = NameCommand::Reserve(id);
        let reserved = NameReservation::decide(name.state.as_ref(), &reserve, now)?;
        let create = PipelineCommand::Create { id, definition: definition.clone() };
        let created = Pipeline::decide(None, &create, now)?;
        let append = Append::to(name_stream, name.version, self.envelopes(context, &reserved)).and(
            Append::to(
                streams::pipeline(&context.tenant, id),
                0,
                self.envelopes(context, &created),
            ),
        );
        match self.append(context, append).await {
            Ok(appended) => Ok(PipelineSaved {
                id: id.to_string(),
                version: 1,
                aggregate_version: created.len() as u64,
                position: appended.last_position,
            }),
            // Somebody was quicker, perhaps with the same key.
            Err(error @ AppendError::Conflict { .. }) => {
                match self.saved_before(context, id, &definition).await? {
                    Some(saved) => Ok(saved),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// An id that derives from the key makes the log refuse to make one pipeline twice.
fn derived_id(context: &RequestContext, key: &str) -> PipelineId {
    let name = format!("{}/{key}", context.tenant);
    PipelineId(Uuid::new_v5(&KEYS, name.as_bytes()))
}

impl Services {
    /// What was made before with the same key.
    async fn saved_before(
        &self,
        context: &RequestContext,
        id: PipelineId,
        definition: &PipelineDefinition,
    ) -> Result<Option<PipelineSaved>, UseCaseError> {
        let stream = streams::pipeline(&context.tenant, id);
        let Loaded { state, version } = self.load::<Pipeline>(&stream).await?;
        let Some(pipeline) = state else { return Ok(None) };
        let first = self.definition_of_version(context, &pipeline, 1).await?;
        if !is_same(&first, definition) {
            let found = pipeline.definition.name.to_string();
            return Err(UseCaseError::KeyUsed { what: "pipeline", found });
        }
        Ok(Some(PipelineSaved {
            id: id.to_string(),
            version: pipeline.version,
            aggregate_version: version,
            position: 0,
        }))
    }
}
