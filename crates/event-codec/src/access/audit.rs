//! The stored form of the audit trail.

use std::borrow::Cow;

use flexcore_domain::{AuditTrail, access::audit::AuditEvent};
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
    state::stored_state,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandAccepted<'a> {
    request: Cow<'a, str>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
}
event_type!(CommandAccepted<'_>, "CommandAccepted", 1);

impl From<CommandAccepted<'_>> for AuditEvent {
    fn from(CommandAccepted { request, subject }: CommandAccepted<'_>) -> Self {
        let subject = subject.map(Cow::into_owned);
        Self::CommandAccepted { request: request.into_owned(), subject }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandRefused<'a> {
    request: Cow<'a, str>,
    code: Cow<'a, str>,
}
event_type!(CommandRefused<'_>, "CommandRefused", 1);

impl From<CommandRefused<'_>> for AuditEvent {
    fn from(CommandRefused { request, code }: CommandRefused<'_>) -> Self {
        Self::CommandRefused { request: request.into_owned(), code: code.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptDenied<'a> {
    request: Cow<'a, str>,
    code: Cow<'a, str>,
    times: u64,
}
event_type!(AttemptDenied<'_>, "AttemptDenied", 1);

impl From<AttemptDenied<'_>> for AuditEvent {
    fn from(AttemptDenied { request, code, times }: AttemptDenied<'_>) -> Self {
        let (request, code) = (request.into_owned(), code.into_owned());
        Self::AttemptDenied { request, code, times }
    }
}

impl StoredEvent for AuditEvent {
    const TYPES: &'static [&'static str] =
        &[CommandAccepted::TYPE, CommandRefused::TYPE, AttemptDenied::TYPE];

    fn encode(&self) -> Encoded {
        match self {
            Self::CommandAccepted { request, subject } => write(&CommandAccepted {
                request: request.into(),
                subject: subject.as_deref().map(Cow::Borrowed),
            }),
            Self::CommandRefused { request, code } => {
                write(&CommandRefused { request: request.into(), code: code.into() })
            }
            Self::AttemptDenied { request, code, times } => {
                write(&AttemptDenied { request: request.into(), code: code.into(), times: *times })
            }
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            CommandAccepted::TYPE => read::<CommandAccepted<'_>, _>(schema_version, payload),
            CommandRefused::TYPE => read::<CommandRefused<'_>, _>(schema_version, payload),
            AttemptDenied::TYPE => read::<AttemptDenied<'_>, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}

stored_state!(AuditTrail, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "AuditTrail", deny_unknown_fields)]
struct AuditTrailForm {
    records: u64,
}

remote_form!(AuditTrail => AuditTrailForm);
