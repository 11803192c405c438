//! The stored form of pipelines.

use std::borrow::Cow;

use flexcore_domain::{PipelineDefinition, PipelineId, pipeline::PipelineEvent};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent, form,
    payload::{Payload, event_type, read, write},
};

mod definition;
mod state;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineCreated<'a> {
    #[serde(with = "form")]
    id: PipelineId,
    #[serde(with = "form")]
    definition: Cow<'a, PipelineDefinition>,
}
event_type!(PipelineCreated<'_>, "PipelineCreated", 1);

impl From<PipelineCreated<'_>> for PipelineEvent {
    fn from(PipelineCreated { id, definition }: PipelineCreated<'_>) -> Self {
        Self::Created { id, definition: definition.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineUpdated<'a> {
    version: u32,
    #[serde(with = "form")]
    definition: Cow<'a, PipelineDefinition>,
}
event_type!(PipelineUpdated<'_>, "PipelineUpdated", 1);

impl From<PipelineUpdated<'_>> for PipelineEvent {
    fn from(PipelineUpdated { version, definition }: PipelineUpdated<'_>) -> Self {
        Self::Updated { version, definition: definition.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineActivated {}
event_type!(PipelineActivated, "PipelineActivated", 1);

impl From<PipelineActivated> for PipelineEvent {
    fn from(PipelineActivated {}: PipelineActivated) -> Self {
        Self::Activated
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineDeactivated {}
event_type!(PipelineDeactivated, "PipelineDeactivated", 1);

impl From<PipelineDeactivated> for PipelineEvent {
    fn from(PipelineDeactivated {}: PipelineDeactivated) -> Self {
        Self::Deactivated
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineArchived {}
event_type!(PipelineArchived, "PipelineArchived", 1);

impl From<PipelineArchived> for PipelineEvent {
    fn from(PipelineArchived {}: PipelineArchived) -> Self {
        Self::Archived
    }
}

impl StoredEvent for PipelineEvent {
    const TYPES: &'static [&'static str] = &[
        PipelineCreated::TYPE,
        PipelineUpdated::TYPE,
        PipelineActivated::TYPE,
        PipelineDeactivated::TYPE,
        PipelineArchived::TYPE,
    ];

    fn encode(&self) -> Encoded {
        match self {
            Self::Created { id, definition } => {
                write(&PipelineCreated { id: *id, definition: Cow::Borrowed(definition) })
            }
            Self::Updated { version, definition } => {
                write(&PipelineUpdated { version: *version, definition: Cow::Borrowed(definition) })
            }
            Self::Activated => write(&PipelineActivated {}),
            Self::Deactivated => write(&PipelineDeactivated {}),
            Self::Archived => write(&PipelineArchived {}),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            PipelineCreated::TYPE => read::<PipelineCreated<'_>, _>(schema_version, payload),
            PipelineUpdated::TYPE => read::<PipelineUpdated<'_>, _>(schema_version, payload),
            PipelineActivated::TYPE => read::<PipelineActivated, _>(schema_version, payload),
            PipelineDeactivated::TYPE => read::<PipelineDeactivated, _>(schema_version, payload),
            PipelineArchived::TYPE => read::<PipelineArchived, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}
