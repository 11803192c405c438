//! Facts about a plugin.

use std::time::Duration;

use super::{PluginRegistration, PluginRights};
use crate::{CapabilityUse, ErrorClass, Isolation, PluginCallId};

/// A fact about a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginEvent {
    /// It was taken in: for the first time, in another version, or again.
    Registered(PluginRegistration),
    /// The operator's grants changed, and with them what it may do.
    CapabilityGranted(PluginRights),
    /// It was started, and is what its manifest says.
    Initialized {
        /// What it said of itself beyond name and version; may be empty.
        detail: String,
    },
    /// It became well, or unwell.
    HealthChanged {
        /// What is wrong; `None`: nothing.
        problem: Option<String>,
    },
    /// Somebody called it by hand.
    ExecutionStarted {
        /// The call.
        call: PluginCallId,
        /// What it was to do; empty for the usual.
        operation: String,
    },
    /// The call did its work.
    ExecutionCompleted {
        /// The call.
        call: PluginCallId,
        /// How long it took.
        duration: Duration,
        /// How many records came out.
        records: u64,
        /// What held it.
        isolation: Option<Isolation>,
    },
    /// The call did not.
    ExecutionFailed {
        /// The call.
        call: PluginCallId,
        /// How long it took.
        duration: Duration,
        /// Why.
        error: PluginCallFailure,
        /// What held it; `None` if it never ran.
        isolation: Option<Isolation>,
    },
    /// What a call used of its rights, counted.
    CapabilityUsed {
        /// The call.
        call: PluginCallId,
        /// Each capability that it used.
        uses: Vec<CapabilityUse>,
    },
    /// What a call tried in vain, counted.
    CapabilityDenied {
        /// The call.
        call: PluginCallId,
        /// Each capability that it did not have.
        uses: Vec<CapabilityUse>,
    },
    /// It failed again and again.
    Quarantined {
        /// What happened.
        reason: String,
    },
    /// An operator lets it be called again after a quarantine.
    Released,
    /// An operator does not want it to be called.
    Disabled {
        /// Why.
        reason: Option<String>,
    },
    /// An operator wants it to be called again.
    Enabled,
    /// It is gone.
    Unregistered,
}

/// Why a call by hand failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCallFailure {
    /// The class that retry policies name.
    pub class: ErrorClass,
    /// The stable code.
    pub code: String,
    /// What happened, for a person; masked.
    pub message: String,
    /// Whether somebody cancelled it.
    pub cancelled: bool,
}
