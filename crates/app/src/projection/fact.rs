//! Stored events in the domain's words.

use std::sync::Arc;

use flexcore_domain::{
    DataStream, EnvironmentName, Execution, ExecutionId, InvalidName, Pipeline, PipelineId, Plugin,
    PluginName, data_stream::DataStreamEvent, execution::ExecutionEvent, pipeline::PipelineEvent,
    plugin::PluginEvent,
};
use flexcore_event_codec::StoredEvent;
use flexcore_eventsourcing::{Aggregate, RecordedEvent, Timestamp};

/// An event as projections see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact<'a> {
    /// As it is stored.
    pub(super) recorded: &'a RecordedEvent,
    /// What it means.
    pub(super) event: &'a DomainEvent,
}

impl Fact<'_> {
    /// When it occurred.
    pub(super) fn at(&self) -> Timestamp {
        self.recorded.event.occurred_at
    }

    /// Whose it is: the tenant that the name of its event stream begins with.
    pub(super) fn tenant(&self) -> Arc<str> {
        let (stream, known) = (&self.recorded.stream, &self.recorded.event.context.tenant);
        // Most tenants are written as they are, and need no decoding.
        let written = stream.as_str().split('/').next().unwrap_or_default();
        if written == &**known && !written.contains('%') {
            return Arc::clone(known);
        }
        stream.tenant().into()
    }
}

/// What an event is about, and what it says.
#[derive(Debug)]
pub(super) enum DomainEvent {
    /// A pipeline.
    Pipeline(PipelineId, PipelineEvent),
    /// An execution.
    Execution(ExecutionId, ExecutionEvent),
    /// A data stream.
    DataStream(DataStreamAddress, DataStreamEvent),
    /// A plugin.
    Plugin(PluginName, PluginEvent),
}

/// Which data stream it is, from the name of its event stream.
#[derive(Debug)]
pub(super) struct DataStreamAddress {
    pub(super) environment: EnvironmentName,
    pub(super) pipeline: PipelineId,
    pub(super) state: String,
    pub(super) item: Option<String>,
}

impl DomainEvent {
    /// What a stored event means; `None` if it is not about anything that views show.
    pub(super) fn of(recorded: &RecordedEvent) -> Result<Option<Self>, String> {
        let mut parts = recorded.stream.parts().skip(1);
        let (category, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let id = |error: InvalidName| error.to_string();
        let event = match category.as_str() {
            Pipeline::CATEGORY => Self::Pipeline(key.parse().map_err(id)?, decode(recorded)?),
            Execution::CATEGORY => Self::Execution(key.parse().map_err(id)?, decode(recorded)?),
            Plugin::CATEGORY => Self::Plugin(key.parse().map_err(id)?, decode(recorded)?),
            DataStream::CATEGORY => {
                let address = DataStreamAddress {
                    environment: key.parse().map_err(id)?,
                    pipeline: parts.next().unwrap_or_default().parse().map_err(id)?,
                    state: parts.next().ok_or("its stream does not name a sync")?,
                    item: parts.next(),
                };
                Self::DataStream(address, decode(recorded)?)
            }
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

fn decode<E: StoredEvent>(recorded: &RecordedEvent) -> Result<E, String> {
    let event = &recorded.event;
    E::decode(&event.type_name, event.schema_version, &event.payload)
        .map_err(|error| error.to_string())
}
