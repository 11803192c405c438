//! The envelope: what is known of an event besides its payload.

use std::{fmt, str::FromStr, sync::Arc};

use uuid::Uuid;

use crate::{Hash, StreamName, Timestamp};

/// The id of one event: a UUID version 7 that the client makes, so that a retried append is
/// recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Uuid);

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ev_{}", self.0.simple())
    }
}

impl FromStr for EventId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text.strip_prefix("ev_").unwrap_or(text)).map(Self)
    }
}

/// Who caused an event and how its payload is to be read; shared by all events of one command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventContext {
    /// The tenant; `default` where nobody set up tenants.
    pub tenant: Arc<str>,
    /// Who did it: a user, a key, or a node of the system.
    pub actor: Arc<str>,
    /// The request that everything in this chain of events began with.
    pub correlation: Option<Uuid>,
    /// The command or event that directly caused this one.
    pub causation: Option<Uuid>,
    /// Media type of the payload.
    pub content_type: Arc<str>,
    /// The key that the payload's personal fields are sealed with; `None` where nothing is sealed.
    pub sealing_key: Option<Uuid>,
}

impl EventContext {
    /// A context of JSON payloads without correlation, causation or sealing.
    pub fn json(tenant: impl Into<Arc<str>>, actor: impl Into<Arc<str>>) -> Self {
        Self {
            tenant: tenant.into(),
            actor: actor.into(),
            correlation: None,
            causation: None,
            content_type: "application/json".into(),
            sealing_key: None,
        }
    }
}

/// An event as a client hands it to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventData {
    /// Its id, unique for ever.
    pub id: EventId,
    /// The name of its type, for example `StepStarted`.
    pub type_name: Arc<str>,
    /// The version of its type's stored form, from 1.
    pub schema_version: u16,
    /// When it happened, by the client's clock.
    pub occurred_at: Timestamp,
    /// Who caused it.
    pub context: EventContext,
    /// The stored form, opaque to stores; at most [`EventData::MAX_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

impl EventData {
    /// The largest payload that a store takes, in bytes.
    pub const MAX_PAYLOAD: usize = 1 << 20;
}

/// An event as a store gives it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the global order, from 1, without gaps.
    pub position: u64,
    /// The stream that it belongs to.
    pub stream: StreamName,
    /// Its place in its stream, from 1, without gaps.
    pub version: u64,
    /// When the store committed it; never decreases along positions.
    pub committed_at: Timestamp,
    /// [`leaf_hash`](crate::leaf_hash) of stream and event.
    pub leaf: Hash,
    /// What the client handed over.
    pub event: EventData,
}
