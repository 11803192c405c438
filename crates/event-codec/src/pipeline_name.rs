//! The stored form of name reservations.

use flexcore_domain::{PipelineId, pipeline_name::NameEvent};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent, form,
    payload::{Payload, event_type, read, write},
};

mod state;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameReserved {
    #[serde(with = "form")]
    pipeline: PipelineId,
}
event_type!(NameReserved, "NameReserved", 1);

impl From<NameReserved> for NameEvent {
    fn from(NameReserved { pipeline }: NameReserved) -> Self {
        Self::Reserved(pipeline)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameReleased {
    #[serde(with = "form")]
    pipeline: PipelineId,
}
event_type!(NameReleased, "NameReleased", 1);

impl From<NameReleased> for NameEvent {
    fn from(NameReleased { pipeline }: NameReleased) -> Self {
        Self::Released(pipeline)
    }
}

impl StoredEvent for NameEvent {
    const TYPES: &'static [&'static str] = &[NameReserved::TYPE, NameReleased::TYPE];

    fn encode(&self) -> Encoded {
        match *self {
            Self::Reserved(pipeline) => write(&NameReserved { pipeline }),
            Self::Released(pipeline) => write(&NameReleased { pipeline }),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            NameReserved::TYPE => read::<NameReserved, _>(schema_version, payload),
            NameReleased::TYPE => read::<NameReleased, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}
