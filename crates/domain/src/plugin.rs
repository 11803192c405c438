//! The plugin aggregate: one name of one tenant, whatever versions come under it.
//!
//! ```text
//!             ┌──────────── upgrade, enable, release ───────────┐
//!             ▼                                                 │
//! registered ──▶ initialized ──▶ healthy ⇄ unhealthy            │
//!      └──────────────┴──────────────┴──────────┴──▶ disabled, quarantined
//!      └──────────────┴──────────────┴──────────┴──▶ unregistered ──▶ registered
//! ```
//!
//! Registering another version of the same name is an upgrade in the same event stream. What a
//! plugin asks for and gets is kept as the text that manifests have for it; what these texts mean
//! is not the domain's business.

use std::collections::BTreeSet;

use flexcore_eventsourcing::{Aggregate, Hash, IllegalEvent, Timestamp};

use crate::PluginCallId;

mod command;
mod decide;
mod event;
mod evolve;
#[cfg(test)]
mod tests;

pub use command::{PluginCallEnd, PluginCommand, PluginRejection};
pub use event::{PluginCallFailure, PluginEvent};

/// A plugin as its events say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// What was registered last.
    pub registration: PluginRegistration,
    /// Where it stands.
    pub status: PluginStatus,
    /// How often something was registered under this name.
    pub version: u32,
    /// Calls by hand that began and are not known to have ended; the newest 1,024.
    pub running: BTreeSet<PluginCallId>,
    /// What became of calls by hand.
    pub calls: PluginCalls,
}

/// How many calls that never ended are remembered.
const MAX_RUNNING: usize = 1_024;

/// What is registered under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRegistration {
    /// The version of the plugin, as its author counts.
    pub version: String,
    /// How it is run: the manifest's word, such as `process`.
    pub kind: String,
    /// What it does with records: the manifest's word, such as `transformer`.
    pub plugin_type: String,
    /// What its files are.
    pub digest: Hash,
    /// The text of its manifest.
    pub manifest: String,
    /// The id of the trusted key that signed it.
    pub signed_by: Option<String>,
    /// What it may do.
    pub rights: PluginRights,
}

/// What a plugin asked for, and what it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRights {
    /// What its manifest asks for, each as manifests write it.
    pub requested: Vec<String>,
    /// What it may do.
    pub effective: Vec<String>,
    /// A digest of the effective rights with their limits.
    pub digest: Hash,
}

/// Where a plugin stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginStatus {
    /// Known, and never started since.
    Registered,
    /// It was started and is what its manifest says.
    Initialized,
    /// It said that it is well.
    Healthy,
    /// It is not well.
    Unhealthy {
        /// What is wrong.
        reason: String,
    },
    /// It failed again and again: nobody calls it until an operator lets it.
    Quarantined {
        /// What happened.
        reason: String,
    },
    /// An operator does not want it to be called.
    Disabled {
        /// Why, if they said so.
        reason: Option<String>,
    },
    /// It is gone; its history is not.
    Unregistered,
}

impl PluginStatus {
    /// Its word in views and replies.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Initialized => "initialized",
            Self::Healthy => "healthy",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Quarantined { .. } => "quarantined",
            Self::Disabled { .. } => "disabled",
            Self::Unregistered => "unregistered",
        }
    }

    /// Why it is so, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unhealthy { reason } | Self::Quarantined { reason } => Some(reason),
            Self::Disabled { reason } => reason.as_deref(),
            _ => None,
        }
    }

    /// Whether a plugin that stands there may be called.
    pub const fn is_callable(&self) -> bool {
        matches!(
            self,
            Self::Registered | Self::Initialized | Self::Healthy | Self::Unhealthy { .. }
        )
    }
}

/// What became of calls by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginCalls {
    /// How many began.
    pub started: u64,
    /// How many did their work.
    pub completed: u64,
    /// How many did not.
    pub failed: u64,
    /// How many of their uses of capabilities were refused.
    pub denied: u64,
}

impl Aggregate for Plugin {
    type Command = PluginCommand;
    type Event = PluginEvent;
    type Rejection = PluginRejection;
    const CATEGORY: &'static str = "plugin";

    fn decide(
        state: Option<&Self>,
        command: &PluginCommand,
        _now: Timestamp,
    ) -> Result<Vec<PluginEvent>, PluginRejection> {
        decide::decide(state, command)
    }

    fn evolve(state: Option<Self>, event: &PluginEvent) -> Result<Self, IllegalEvent> {
        evolve::evolve(state, event)
    }
}
