//! Samples of keys, roles, their index and the audit trail.

use flexcore_domain::{
    ApiKeyId,
    access::{
        api_key::{ApiKeyEvent, ApiKeyGrant},
        audit::AuditEvent,
        index::AccessIndexEvent,
        role::{RoleDefinition, RoleEvent},
    },
};
use flexcore_eventsourcing::Hash;
use uuid::Uuid;

use super::{Sample, at};

pub(crate) const KEY: ApiKeyId =
    ApiKeyId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0004));

pub(crate) fn grant() -> ApiKeyGrant {
    ApiKeyGrant {
        id: KEY,
        name: "nightly loads".into(),
        digest: Hash([0x3d; 32]),
        roles: ["loader".parse().unwrap()].into(),
        permissions: ["event.read", "pipeline.*"].map(|one| one.parse().unwrap()).into(),
        created_at: at(0),
        expires_at: Some(at(86_400)),
    }
}

pub(crate) fn definition() -> RoleDefinition {
    RoleDefinition {
        description: Some("runs what is there".into()),
        permissions: ["pipeline.execute".parse().unwrap()].into(),
    }
}

pub(crate) fn api_key() -> Vec<Sample<ApiKeyEvent>> {
    let plain = ApiKeyGrant { roles: [].into(), expires_at: None, ..grant() };
    vec![
        ("", ApiKeyEvent::Created(grant())),
        ("plain", ApiKeyEvent::Created(plain)),
        ("", ApiKeyEvent::Revoked { reason: Some("it leaked".into()) }),
        ("no_reason", ApiKeyEvent::Revoked { reason: None }),
    ]
}

pub(crate) fn role() -> Vec<Sample<RoleEvent>> {
    vec![("", RoleEvent::Defined(definition())), ("", RoleEvent::Removed)]
}

pub(crate) fn index() -> Vec<Sample<AccessIndexEvent>> {
    let role = "loader".parse().unwrap();
    vec![("", AccessIndexEvent::KeyListed(KEY)), ("", AccessIndexEvent::RoleListed(role))]
}

pub(crate) fn audit() -> Vec<Sample<AuditEvent>> {
    let request = "CancelExecution".to_owned();
    let code = "FC0203".to_owned();
    vec![
        (
            "",
            AuditEvent::CommandAccepted {
                request: request.clone(),
                subject: Some("default/execution/ex_01900000000070008000000000000002".into()),
            },
        ),
        ("nothing", AuditEvent::CommandAccepted { request: request.clone(), subject: None }),
        ("", AuditEvent::CommandRefused { request: request.clone(), code }),
        ("", AuditEvent::AttemptDenied { request, code: "FC0205".into(), times: 12 }),
    ]
}
