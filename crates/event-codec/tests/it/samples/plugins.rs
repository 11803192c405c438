//! Samples of plugin events.

use std::time::Duration;

use flexcore_domain::{
    CapabilityUse, ControlRecord, ErrorClass, Isolation, IsolationPlace, PluginCallId,
    plugin::{PluginCallFailure, PluginEvent, PluginRegistration, PluginRights},
};
use flexcore_eventsourcing::Hash;
use uuid::Uuid;

use super::Sample;

pub(crate) const CALL: PluginCallId =
    PluginCallId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003));

pub(crate) fn rights() -> PluginRights {
    PluginRights {
        requested: vec!["network tcp://db.example.com:5432".into(), "clock".into()],
        effective: vec!["clock".into()],
        digest: Hash([0x2c; 32]),
    }
}

pub(crate) fn registration() -> PluginRegistration {
    PluginRegistration {
        version: "1.4.2".into(),
        kind: "process".into(),
        plugin_type: "transformer".into(),
        digest: Hash([0xab; 32]),
        manifest: "manifest = 1\n\n[plugin]\nname = \"greeter\"\n".into(),
        signed_by: Some("RWQf6LRCGA9i53ml".into()),
        rights: rights(),
    }
}

fn isolation() -> Isolation {
    Isolation {
        part: String::new(),
        place: IsolationPlace::Jail { tier: "root".into() },
        controls: vec![ControlRecord {
            name: "seccomp".into(),
            state: "enforced".into(),
            required: true,
            detail: String::new(),
        }],
    }
}

fn used(allowed: bool) -> CapabilityUse {
    let capability = "network tcp://db.example.com:5432".into();
    CapabilityUse { capability, allowed, times: 3, bytes: 4_096 }
}

pub(crate) fn plugin() -> Vec<Sample<PluginEvent>> {
    use PluginEvent as E;
    let error = PluginCallFailure {
        class: ErrorClass::Timeout,
        code: "FC0643".into(),
        message: "it gave no answer".into(),
        cancelled: false,
    };
    let duration = Duration::from_micros(1_234_567);
    let unsigned = PluginRegistration { signed_by: None, ..registration() };
    vec![
        ("", E::Registered(registration())),
        ("unsigned", E::Registered(unsigned)),
        ("", E::CapabilityGranted(rights())),
        ("", E::Initialized { detail: "go1.22".into() }),
        ("", E::HealthChanged { problem: Some("no answer".into()) }),
        ("well", E::HealthChanged { problem: None }),
        ("", E::ExecutionStarted { call: CALL, operation: "greet".into() }),
        (
            "",
            E::ExecutionCompleted {
                call: CALL,
                duration,
                records: 7,
                isolation: Some(isolation()),
            },
        ),
        ("", E::ExecutionFailed { call: CALL, duration, error, isolation: None }),
        ("", E::CapabilityUsed { call: CALL, uses: vec![used(true)] }),
        ("", E::CapabilityDenied { call: CALL, uses: vec![used(false)] }),
        ("", E::Quarantined { reason: "it failed 15 times in a row".into() }),
        ("", E::Released),
        ("", E::Disabled { reason: Some("it deletes rows".into()) }),
        ("no_reason", E::Disabled { reason: None }),
        ("", E::Enabled),
        ("", E::Unregistered),
    ]
}
