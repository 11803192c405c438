//! CreatePipeline.

use async_trait::async_trait;
use flexcore_api::{CreatePipeline, PipelineSaved};
use flexcore_domain::{
    NameReservation, Pipeline, PipelineId, pipeline::PipelineCommand, pipeline_name::NameCommand,
};
use flexcore_eventsourcing::{Aggregate, Append};

use super::definition_of;
use crate::{HandleCommand, RequestContext, Services, UseCaseError, streams};

#[async_trait]
impl HandleCommand<CreatePipeline> for Services {
    /// The name and the pipeline go into one append: either both are there or none.
    async fn handle(
        &self,
        context: &RequestContext,
        command: CreatePipeline,
    ) -> Result<PipelineSaved, UseCaseError> {
        let definition = definition_of(&command.document)?;
        let id = PipelineId(self.ports.ids.next());
        let now = self.ports.clock.now();
        let name_stream = streams::pipeline_name(&context.tenant, &definition.name);
        let name = self.load::<NameReservation>(&name_stream).await?;
        let reserve = NameCommand::Reserve(id);
        let reserved = NameReservation::decide(name.state.as_ref(), &reserve, now)?;
        let create = PipelineCommand::Create { id, definition };
        let created = Pipeline::decide(None, &create, now)?;
        let append = Append::to(name_stream, name.version, self.envelopes(context, &reserved)).and(
            Append::to(
                streams::pipeline(&context.tenant, id),
                0,
                self.envelopes(context, &created),
            ),
        );
        let appended = self.ports.store.append(append).await?;
        Ok(PipelineSaved { id: id.to_string(), version: 1, position: appended.last_position })
    }
}
