//! Any event of keys, roles, their index and the audit trail.

use flexcore_domain::{
    ApiKeyId, Permission, RoleName,
    access::{
        api_key::{ApiKeyEvent, ApiKeyGrant},
        audit::AuditEvent,
        index::AccessIndexEvent,
        role::{RoleDefinition, RoleEvent},
    },
};
use proptest::{
    collection::{btree_set, vec},
    option,
    prelude::*,
};
use uuid::Uuid;

use super::{hash, parsed, text, time};

fn key_id() -> impl Strategy<Value = ApiKeyId> {
    any::<u128>().prop_map(|id| ApiKeyId(Uuid::from_u128(id)))
}

fn role_name() -> impl Strategy<Value = RoleName> {
    parsed("[a-z][a-z0-9_-]{0,62}")
}

fn permissions() -> impl Strategy<Value = std::collections::BTreeSet<Permission>> {
    vec(parsed("[a-z_]{1,9}\\.([a-z_]{1,9}|\\*)|\\*"), 0..4)
        .prop_map(|all| all.into_iter().collect())
}

pub(crate) fn api_key() -> impl Strategy<Value = ApiKeyEvent> {
    let grant = (
        key_id(),
        text(),
        hash(),
        btree_set(role_name(), 0..3),
        permissions(),
        (time(), option::of(time())),
    )
        .prop_map(|(id, name, digest, roles, permissions, (created_at, expires_at))| {
            ApiKeyGrant { id, name, digest, roles, permissions, created_at, expires_at }
        });
    prop_oneof![
        grant.prop_map(ApiKeyEvent::Created),
        option::of(text()).prop_map(|reason| ApiKeyEvent::Revoked { reason }),
    ]
}

pub(crate) fn role() -> impl Strategy<Value = RoleEvent> {
    let definition = (option::of(text()), permissions())
        .prop_map(|(description, permissions)| RoleDefinition { description, permissions });
    prop_oneof![definition.prop_map(RoleEvent::Defined), Just(RoleEvent::Removed)]
}

pub(crate) fn index() -> impl Strategy<Value = AccessIndexEvent> {
    prop_oneof![
        key_id().prop_map(AccessIndexEvent::KeyListed),
        role_name().prop_map(AccessIndexEvent::RoleListed),
    ]
}

pub(crate) fn audit() -> impl Strategy<Value = AuditEvent> {
    prop_oneof![
        (text(), option::of(text()))
            .prop_map(|(request, subject)| AuditEvent::CommandAccepted { request, subject }),
        (text(), text()).prop_map(|(request, code)| AuditEvent::CommandRefused { request, code }),
        (text(), text(), any::<u64>()).prop_map(|(request, code, times)| {
            AuditEvent::AttemptDenied { request, code, times }
        }),
    ]
}
