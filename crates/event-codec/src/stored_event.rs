//! What stores and projections see of this crate.

use flexcore_eventsourcing::{EventContext, EventData, EventId, Timestamp};

use crate::DecodeError;

/// The stored form of one aggregate's events.
pub trait StoredEvent: Sized {
    /// The names of all event types of this aggregate.
    const TYPES: &'static [&'static str];

    /// The newest stored form: type name, schema version and payload.
    fn encode(&self) -> Encoded;

    /// The event that a store holds; a form of the past goes through the upcasters first.
    ///
    /// # Errors
    /// [`DecodeError`] if the type is not one of [`TYPES`](Self::TYPES), its version is newer than
    /// this program or has no way to the newest one, or the payload is not what the version says.
    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError>;

    /// [`decode`](Self::decode) for an event in its envelope.
    ///
    /// # Errors
    /// As `decode`.
    fn decode_data(event: &EventData) -> Result<Self, DecodeError> {
        Self::decode(&event.type_name, event.schema_version, &event.payload)
    }
}

/// An event in its newest stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The name of its type, for example `StepStarted`.
    pub type_name: &'static str,
    /// The version of its type's stored form, from 1.
    pub schema_version: u16,
    /// Compact JSON, fields in a fixed order.
    pub payload: Vec<u8>,
}

impl Encoded {
    /// The form in an envelope, ready to be appended.
    pub fn into_event_data(
        self,
        id: EventId,
        occurred_at: Timestamp,
        context: EventContext,
    ) -> EventData {
        EventData {
            id,
            type_name: self.type_name.into(),
            schema_version: self.schema_version,
            occurred_at,
            context,
            payload: self.payload,
        }
    }
}
