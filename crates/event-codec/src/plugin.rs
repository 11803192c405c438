//! The stored form of plugins.

use std::{borrow::Cow, time::Duration};

use flexcore_domain::{
    CapabilityUse, ErrorClass, Isolation, PluginCallId,
    plugin::{PluginCallFailure, PluginEvent, PluginRegistration, PluginRights},
};
use flexcore_eventsourcing::Hash;
use serde::{Deserialize, Serialize};

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
};

mod state;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginRegistered<'a> {
    #[serde(with = "form")]
    plugin: Cow<'a, PluginRegistration>,
}
event_type!(PluginRegistered<'_>, "PluginRegistered", 1);

impl From<PluginRegistered<'_>> for PluginEvent {
    fn from(PluginRegistered { plugin }: PluginRegistered<'_>) -> Self {
        Self::Registered(plugin.into_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginRegistration", deny_unknown_fields)]
struct PluginRegistrationForm {
    version: String,
    kind: String,
    #[serde(rename = "type")]
    plugin_type: String,
    #[serde(rename = "sha256", with = "form")]
    digest: Hash,
    manifest: String,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(with = "form")]
    rights: PluginRights,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginRights", deny_unknown_fields)]
struct PluginRightsForm {
    requested: Vec<String>,
    effective: Vec<String>,
    #[serde(rename = "sha256", with = "form")]
    digest: Hash,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityGranted<'a> {
    #[serde(with = "form")]
    rights: Cow<'a, PluginRights>,
}
event_type!(CapabilityGranted<'_>, "CapabilityGranted", 1);

impl From<CapabilityGranted<'_>> for PluginEvent {
    fn from(CapabilityGranted { rights }: CapabilityGranted<'_>) -> Self {
        Self::CapabilityGranted(rights.into_owned())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginInitialized<'a> {
    detail: Cow<'a, str>,
}
event_type!(PluginInitialized<'_>, "PluginInitialized", 1);

impl From<PluginInitialized<'_>> for PluginEvent {
    fn from(PluginInitialized { detail }: PluginInitialized<'_>) -> Self {
        Self::Initialized { detail: detail.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginHealthChanged<'a> {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    problem: Option<Cow<'a, str>>,
}
event_type!(PluginHealthChanged<'_>, "PluginHealthChanged", 1);

impl From<PluginHealthChanged<'_>> for PluginEvent {
    fn from(PluginHealthChanged { problem }: PluginHealthChanged<'_>) -> Self {
        Self::HealthChanged { problem: problem.map(Cow::into_owned) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginExecutionStarted<'a> {
    #[serde(with = "form")]
    call: PluginCallId,
    operation: Cow<'a, str>,
}
event_type!(PluginExecutionStarted<'_>, "PluginExecutionStarted", 1);

impl From<PluginExecutionStarted<'_>> for PluginEvent {
    fn from(PluginExecutionStarted { call, operation }: PluginExecutionStarted<'_>) -> Self {
        Self::ExecutionStarted { call, operation: operation.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginExecutionCompleted<'a> {
    #[serde(with = "form")]
    call: PluginCallId,
    #[serde(rename = "duration_us", with = "form")]
    duration: Duration,
    records: u64,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    isolation: Option<Cow<'a, Isolation>>,
}
event_type!(PluginExecutionCompleted<'_>, "PluginExecutionCompleted", 1);

impl From<PluginExecutionCompleted<'_>> for PluginEvent {
    fn from(event: PluginExecutionCompleted<'_>) -> Self {
        let PluginExecutionCompleted { call, duration, records, isolation } = event;
        let isolation = isolation.map(Cow::into_owned);
        Self::ExecutionCompleted { call, duration, records, isolation }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginExecutionFailed<'a> {
    #[serde(with = "form")]
    call: PluginCallId,
    #[serde(rename = "duration_us", with = "form")]
    duration: Duration,
    #[serde(with = "form")]
    error: Cow<'a, PluginCallFailure>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    isolation: Option<Cow<'a, Isolation>>,
}
event_type!(PluginExecutionFailed<'_>, "PluginExecutionFailed", 1);

impl From<PluginExecutionFailed<'_>> for PluginEvent {
    fn from(event: PluginExecutionFailed<'_>) -> Self {
        let PluginExecutionFailed { call, duration, error, isolation } = event;
        let (error, isolation) = (error.into_owned(), isolation.map(Cow::into_owned));
        Self::ExecutionFailed { call, duration, error, isolation }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginCallFailure", deny_unknown_fields)]
struct PluginCallFailureForm {
    #[serde(with = "form")]
    class: ErrorClass,
    code: String,
    message: String,
    cancelled: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityUsed<'a> {
    #[serde(with = "form")]
    call: PluginCallId,
    #[serde(with = "form")]
    uses: Cow<'a, [CapabilityUse]>,
}
event_type!(CapabilityUsed<'_>, "CapabilityUsed", 1);

impl From<CapabilityUsed<'_>> for PluginEvent {
    fn from(CapabilityUsed { call, uses }: CapabilityUsed<'_>) -> Self {
        Self::CapabilityUsed { call, uses: uses.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityDenied<'a> {
    #[serde(with = "form")]
    call: PluginCallId,
    #[serde(with = "form")]
    uses: Cow<'a, [CapabilityUse]>,
}
event_type!(CapabilityDenied<'_>, "CapabilityDenied", 1);

impl From<CapabilityDenied<'_>> for PluginEvent {
    fn from(CapabilityDenied { call, uses }: CapabilityDenied<'_>) -> Self {
        Self::CapabilityDenied { call, uses: uses.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginQuarantined<'a> {
    reason: Cow<'a, str>,
}
event_type!(PluginQuarantined<'_>, "PluginQuarantined", 1);

impl From<PluginQuarantined<'_>> for PluginEvent {
    fn from(PluginQuarantined { reason }: PluginQuarantined<'_>) -> Self {
        Self::Quarantined { reason: reason.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginDisabled<'a> {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}
event_type!(PluginDisabled<'_>, "PluginDisabled", 1);

impl From<PluginDisabled<'_>> for PluginEvent {
    fn from(PluginDisabled { reason }: PluginDisabled<'_>) -> Self {
        Self::Disabled { reason: reason.map(Cow::into_owned) }
    }
}

/// An event that says nothing but that it happened.
macro_rules! bare_event {
    ($($payload:ident, $name:literal => $event:ident);+ $(;)?) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $payload {}
        event_type!($payload, $name, 1);

        impl From<$payload> for PluginEvent {
            fn from($payload {}: $payload) -> Self {
                Self::$event
            }
        }
    )+};
}
bare_event! {
    PluginReleased, "PluginReleased" => Released;
    PluginEnabled, "PluginEnabled" => Enabled;
    PluginUnregistered, "PluginUnregistered" => Unregistered;
}

remote_form! {
    PluginRegistration => PluginRegistrationForm,
    PluginRights => PluginRightsForm,
    PluginCallFailure => PluginCallFailureForm,
}

impl StoredEvent for PluginEvent {
    const TYPES: &'static [&'static str] = &[
        PluginRegistered::TYPE,
        CapabilityGranted::TYPE,
        PluginInitialized::TYPE,
        PluginHealthChanged::TYPE,
        PluginExecutionStarted::TYPE,
        PluginExecutionCompleted::TYPE,
        PluginExecutionFailed::TYPE,
        CapabilityUsed::TYPE,
        CapabilityDenied::TYPE,
        PluginQuarantined::TYPE,
        PluginReleased::TYPE,
        PluginDisabled::TYPE,
        PluginEnabled::TYPE,
        PluginUnregistered::TYPE,
    ];

    fn encode(&self) -> Encoded {
        match self {
            Self::Registered(plugin) => write(&PluginRegistered { plugin: Cow::Borrowed(plugin) }),
            Self::CapabilityGranted(rights) => {
                write(&CapabilityGranted { rights: Cow::Borrowed(rights) })
            }
            Self::Initialized { detail } => write(&PluginInitialized { detail: detail.into() }),
            Self::HealthChanged { problem } => {
                write(&PluginHealthChanged { problem: problem.as_deref().map(Cow::Borrowed) })
            }
            Self::ExecutionStarted { call, operation } => {
                write(&PluginExecutionStarted { call: *call, operation: operation.into() })
            }
            Self::ExecutionCompleted { call, duration, records, isolation } => {
                write(&PluginExecutionCompleted {
                    call: *call,
                    duration: *duration,
                    records: *records,
                    isolation: isolation.as_ref().map(Cow::Borrowed),
                })
            }
            Self::ExecutionFailed { call, duration, error, isolation } => {
                write(&PluginExecutionFailed {
                    call: *call,
                    duration: *duration,
                    error: Cow::Borrowed(error),
                    isolation: isolation.as_ref().map(Cow::Borrowed),
                })
            }
            Self::CapabilityUsed { call, uses } => {
                write(&CapabilityUsed { call: *call, uses: Cow::Borrowed(uses) })
            }
            Self::CapabilityDenied { call, uses } => {
                write(&CapabilityDenied { call: *call, uses: Cow::Borrowed(uses) })
            }
            Self::Quarantined { reason } => write(&PluginQuarantined { reason: reason.into() }),
            Self::Released => write(&PluginReleased {}),
            Self::Disabled { reason } => {
                write(&PluginDisabled { reason: reason.as_deref().map(Cow::Borrowed) })
            }
            Self::Enabled => write(&PluginEnabled {}),
            Self::Unregistered => write(&PluginUnregistered {}),
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        macro_rules! decode_by_name {
            ($($form:ty),+ $(,)?) => {
                match type_name {
                    $(<$form>::TYPE => read::<$form, _>(schema_version, payload),)+
                    _ => Err(DecodeError::unknown_type::<Self>(type_name)),
                }
            };
        }
        decode_by_name!(
            PluginRegistered<'_>,
            CapabilityGranted<'_>,
            PluginInitialized<'_>,
            PluginHealthChanged<'_>,
            PluginExecutionStarted<'_>,
            PluginExecutionCompleted<'_>,
            PluginExecutionFailed<'_>,
            CapabilityUsed<'_>,
            CapabilityDenied<'_>,
            PluginQuarantined<'_>,
            PluginReleased,
            PluginDisabled<'_>,
            PluginEnabled,
            PluginUnregistered,
        )
    }
}
