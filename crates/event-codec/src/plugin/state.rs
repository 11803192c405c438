//! The stored form of a plugin's state.

use std::collections::BTreeSet;

use flexcore_domain::{
    Plugin, PluginCallId, PluginStatus,
    plugin::{PluginCalls, PluginRegistration},
};
use serde::{Deserialize, Serialize};

use crate::{
    form::{self, remote_form},
    state::stored_state,
};

stored_state!(Plugin, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Plugin", deny_unknown_fields)]
struct PluginForm {
    #[serde(with = "form")]
    registration: PluginRegistration,
    #[serde(with = "form")]
    status: PluginStatus,
    version: u32,
    #[serde(with = "form")]
    running: BTreeSet<PluginCallId>,
    #[serde(with = "form")]
    calls: PluginCalls,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginStatus", tag = "status", rename_all = "snake_case", deny_unknown_fields)]
enum PluginStatusForm {
    Registered,
    Initialized,
    Healthy,
    Unhealthy {
        reason: String,
    },
    Quarantined {
        reason: String,
    },
    Disabled {
        #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Unregistered,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PluginCalls", deny_unknown_fields)]
struct PluginCallsForm {
    started: u64,
    completed: u64,
    failed: u64,
    denied: u64,
}

remote_form! {
    Plugin => PluginForm,
    PluginStatus => PluginStatusForm,
    PluginCalls => PluginCallsForm,
}
