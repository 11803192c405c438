//! Requests about a plugin, and why they are not accepted.

use std::time::Duration;

use thiserror::Error;

use super::{PluginCallFailure, PluginRegistration, PluginRights};
use crate::{CapabilityUse, Isolation, PluginCallId};

/// A request about a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginCommand {
    /// Take it in: new, or another version of what is there.
    Register(PluginRegistration),
    /// Note what it may do now.
    Grant(PluginRights),
    /// Note that it was started.
    Initialize {
        /// What it said of itself.
        detail: String,
    },
    /// Note whether it is well.
    ReportHealth {
        /// What is wrong; `None`: nothing.
        problem: Option<String>,
    },
    /// Begin a call by hand.
    StartExecution {
        /// The call.
        call: PluginCallId,
        /// What it is to do.
        operation: String,
    },
    /// End a call by hand.
    EndExecution(PluginCallEnd),
    /// Let nobody call it until an operator says so.
    Quarantine {
        /// What happened.
        reason: String,
    },
    /// Let nobody call it.
    Disable {
        /// Why.
        reason: Option<String>,
    },
    /// Let it be called again, whatever stopped it.
    Enable,
    /// Forget it.
    Unregister,
}

/// How a call by hand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginCallEnd {
    /// The call.
    pub call: PluginCallId,
    /// How long it took.
    pub duration: Duration,
    /// How many records came out, or why none did.
    pub outcome: Result<u64, PluginCallFailure>,
    /// What held it.
    pub isolation: Option<Isolation>,
    /// What it used and tried.
    pub uses: Vec<CapabilityUse>,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PluginRejection {
    /// Nothing is registered under this name.
    #[error("the plugin is not registered")]
    NotRegistered,
    /// An operator disabled it.
    #[error("the plugin is disabled{}", because(.0.as_deref()))]
    Disabled(Option<String>),
    /// It failed again and again.
    #[error("the plugin is in quarantine: {0}")]
    Quarantined(String),
    /// The call never began, or has ended.
    #[error("the call {0} is not running")]
    NotRunning(PluginCallId),
    /// The call began already.
    #[error("the call {0} began already")]
    AlreadyStarted(PluginCallId),
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}
