//! The stored form of roles.

use std::{borrow::Cow, collections::BTreeSet};

use flexcore_domain::{
    Permission, Role,
    access::role::{RoleDefinition, RoleEvent},
};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
    state::stored_state,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleDefined<'a> {
    #[serde(with = "form")]
    role: Cow<'a, RoleDefinition>,
}
event_type!(RoleDefined<'_>, "RoleDefined", 1);

impl From<RoleDefined<'_>> for RoleEvent {
    fn from(RoleDefined { role }: RoleDefined<'_>) -> Self {
        Self::Defined(role.into_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RoleDefinition", deny_unknown_fields)]
struct RoleDefinitionForm {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(with = "form")]
    permissions: BTreeSet<Permission>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleRemoved {}
event_type!(RoleRemoved, "RoleRemoved", 1);

impl From<RoleRemoved> for RoleEvent {
    fn from(RoleRemoved {}: RoleRemoved) -> Self {
        Self::Removed
    }
}

impl StoredEvent for RoleEvent {
    const TYPES: &'static [&'static str] = &[RoleDefined::TYPE, RoleRemoved::TYPE];

    fn encode(&self) -> Encoded {
        match self {
            Self::Defined(role) => write(&RoleDefined { role: Cow::Borrowed(role) }),
            Self::Removed => write(&RoleRemoved {}),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            RoleDefined::TYPE => read::<RoleDefined<'_>, _>(schema_version, payload),
            RoleRemoved::TYPE => read::<RoleRemoved, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}

stored_state!(Role, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", deny_unknown_fields)]
struct RoleForm {
    #[serde(rename = "role", with = "form", default, skip_serializing_if = "Option::is_none")]
    definition: Option<RoleDefinition>,
}

remote_form! {
    RoleDefinition => RoleDefinitionForm,
    Role => RoleForm,
}
