//! The stored form of the index of keys and roles.

use std::collections::BTreeSet;

use flexcore_domain::{AccessIndex, ApiKeyId, RoleName, access::index::AccessIndexEvent};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
    state::stored_state,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyListed {
    #[serde(with = "form")]
    key: ApiKeyId,
}
event_type!(ApiKeyListed, "ApiKeyListed", 1);

impl From<ApiKeyListed> for AccessIndexEvent {
    fn from(ApiKeyListed { key }: ApiKeyListed) -> Self {
        Self::KeyListed(key)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleListed {
    #[serde(with = "form")]
    role: RoleName,
}
event_type!(RoleListed, "RoleListed", 1);

impl From<RoleListed> for AccessIndexEvent {
    fn from(RoleListed { role }: RoleListed) -> Self {
        Self::RoleListed(role)
    }
}

impl StoredEvent for AccessIndexEvent {
    const TYPES: &'static [&'static str] = &[ApiKeyListed::TYPE, RoleListed::TYPE];

    fn encode(&self) -> Encoded {
        match self {
            Self::KeyListed(key) => write(&ApiKeyListed { key: *key }),
            Self::RoleListed(role) => write(&RoleListed { role: role.clone() }),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            ApiKeyListed::TYPE => read::<ApiKeyListed, _>(schema_version, payload),
            RoleListed::TYPE => read::<RoleListed, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}

stored_state!(AccessIndex, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "AccessIndex", deny_unknown_fields)]
struct AccessIndexForm {
    #[serde(with = "form")]
    keys: BTreeSet<ApiKeyId>,
    #[serde(with = "form")]
    roles: BTreeSet<RoleName>,
}

remote_form!(AccessIndex => AccessIndexForm);
