//! The stored form of API keys.

use std::{borrow::Cow, collections::BTreeSet};

use flexcore_domain::{
    ApiKey, ApiKeyId, Permission, RoleName,
    access::api_key::{ApiKeyEvent, ApiKeyGrant},
};
use flexcore_eventsourcing::{Hash, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
    state::stored_state,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyCreated<'a> {
    #[serde(with = "form")]
    key: Cow<'a, ApiKeyGrant>,
}
event_type!(ApiKeyCreated<'_>, "ApiKeyCreated", 1);

impl From<ApiKeyCreated<'_>> for ApiKeyEvent {
    fn from(ApiKeyCreated { key }: ApiKeyCreated<'_>) -> Self {
        Self::Created(key.into_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ApiKeyGrant", deny_unknown_fields)]
struct ApiKeyGrantForm {
    #[serde(with = "form")]
    id: ApiKeyId,
    name: String,
    #[serde(rename = "sha256", with = "form")]
    digest: Hash,
    #[serde(with = "form", default, skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<RoleName>,
    #[serde(with = "form", default, skip_serializing_if = "BTreeSet::is_empty")]
    permissions: BTreeSet<Permission>,
    #[serde(rename = "created_at_us", with = "form")]
    created_at: Timestamp,
    #[serde(
        rename = "expires_at_us",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    expires_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyRevoked<'a> {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}
event_type!(ApiKeyRevoked<'_>, "ApiKeyRevoked", 1);

impl From<ApiKeyRevoked<'_>> for ApiKeyEvent {
    fn from(ApiKeyRevoked { reason }: ApiKeyRevoked<'_>) -> Self {
        Self::Revoked { reason: reason.map(Cow::into_owned) }
    }
}

impl StoredEvent for ApiKeyEvent {
    const TYPES: &'static [&'static str] = &[ApiKeyCreated::TYPE, ApiKeyRevoked::TYPE];

    fn encode(&self) -> Encoded {
        match self {
            Self::Created(key) => write(&ApiKeyCreated { key: Cow::Borrowed(key) }),
            Self::Revoked { reason } => {
                write(&ApiKeyRevoked { reason: reason.as_deref().map(Cow::Borrowed) })
            }
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            ApiKeyCreated::TYPE => read::<ApiKeyCreated<'_>, _>(schema_version, payload),
            ApiKeyRevoked::TYPE => read::<ApiKeyRevoked<'_>, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}

stored_state!(ApiKey, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "ApiKey", deny_unknown_fields)]
struct ApiKeyForm {
    #[serde(rename = "key", with = "form")]
    grant: ApiKeyGrant,
    #[serde(rename = "revoked")]
    is_revoked: bool,
}

remote_form! {
    ApiKeyGrant => ApiKeyGrantForm,
    ApiKey => ApiKeyForm,
}
