//! Plugins: those that are registered or come with FlexCore, and the taps and targets that
//! pipelines name or syncs have used.

mod call;
mod change;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CapabilityUseView, IsolationView, Query, Route};

pub use call::{
    ConfigProblemView, ExecutePlugin, GetPluginSchema, InitializePlugin, PluginConfigValidated,
    PluginExecuted, PluginInitialized, PluginSchemaView, ValidatePluginConfig,
};
pub use change::{
    DisablePlugin, EnablePlugin, PluginRegistered, PluginSourceView, RegisterPlugin,
    UnregisterPlugin,
};

/// Lists plugins by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListActivePlugins {
    /// Only those of one role: tap or target, or plugin for those that are registered
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Only registered ones that stand there, for example healthy or quarantined
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only registered ones of this kind, for example process
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Default for ListActivePlugins {
    fn default() -> Self {
        Self { role: None, status: None, kind: None, limit: 50, after: None }
    }
}

impl Query for ListActivePlugins {
    type Reply = PluginPage;
    const NAME: &'static str = "ListActivePlugins";
    const PERMISSION: &'static str = "plugin.read";
    const ROUTE: Option<Route> = Some(Route::get("plugins"));
}

/// Shows one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetPlugin {
    /// Its name, as the list has it
    pub name: String,
    /// Its role: tap, target or plugin; needed where a name has several
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Query for GetPlugin {
    type Reply = PluginView;
    const NAME: &'static str = "GetPlugin";
    const PERMISSION: &'static str = "plugin.read";
    const ROUTE: Option<Route> = Some(Route::get("plugins/{name}"));
}

/// Lists the calls of a plugin by hand, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct ListPluginCalls {
    /// Its name
    pub name: String,
    /// How many to show
    #[arg(long, default_value_t = 20)]
    #[serde(default = "twenty")]
    pub limit: usize,
}

const fn twenty() -> usize {
    20
}

impl Query for ListPluginCalls {
    type Reply = PluginCallList;
    const NAME: &'static str = "ListPluginCalls";
    const PERMISSION: &'static str = "plugin.read";
    const ROUTE: Option<Route> = Some(Route::get("plugins/{name}/calls"));
}

/// A page of plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginPage {
    /// The plugins, by name and role.
    pub items: Vec<PluginView>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// What is known of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginView {
    /// Its name; of taps and targets as bookmarks have it: a connector's, or `name (program)`.
    pub name: String,
    /// `tap` or `target` for an end of syncs, `plugin` for one that is registered.
    pub role: String,
    /// How many pipelines that are not archived name it, in the environment `default`.
    pub pipelines: u64,
    /// How many attempts of steps and calls by hand ran it.
    pub attempts: u64,
    /// How many of them failed; of a sync, whichever end was to blame.
    pub failures: u64,
    /// When an attempt began with it last (RFC 3339).
    pub last_used_at: Option<String>,
    /// When an attempt with it failed last (RFC 3339).
    pub last_failed_at: Option<String>,
    /// Why, in one line.
    pub last_error: Option<String>,
    /// What is registered under the name; absent for taps and targets that pipelines name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<RegisteredView>,
}

/// What is registered under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisteredView {
    /// `registered`, `initialized`, `healthy`, `unhealthy`, `quarantined`, `disabled` or
    /// `unregistered`.
    pub status: String,
    /// Why it stands there.
    pub reason: Option<String>,
    /// The version, as its author counts.
    pub version: String,
    /// How it is run.
    pub kind: String,
    /// What it does with records.
    #[serde(rename = "type")]
    pub plugin_type: String,
    /// What its files are.
    pub sha256: String,
    /// The id of the trusted key that signed it.
    pub signed_by: Option<String>,
    /// Whether it comes with FlexCore.
    pub built_in: bool,
    /// What it asks for.
    pub requested: Vec<String>,
    /// What it may do.
    pub effective: Vec<String>,
    /// A digest of what it may do and use.
    pub rights_sha256: String,
    /// How often something was registered under the name.
    pub registrations: u32,
    /// Calls by hand.
    pub calls: PluginCallCounts,
}

/// What became of calls by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PluginCallCounts {
    /// How many began.
    pub started: u64,
    /// How many did their work.
    pub completed: u64,
    /// How many did not.
    pub failed: u64,
    /// How many of their uses of capabilities were refused.
    pub denied: u64,
}

/// Calls of a plugin by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginCallList {
    /// The calls, the newest first.
    pub items: Vec<PluginCallView>,
}

/// A call of a plugin by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginCallView {
    /// The call: `pc_…`.
    pub call: String,
    /// What it was to do.
    pub operation: String,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// `running`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// How many records came out.
    pub records: Option<u64>,
    /// The code of what went wrong.
    pub code: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What held it.
    pub isolation: Option<IsolationView>,
    /// What it used of its rights, and what it tried in vain.
    pub uses: Vec<CapabilityUseView>,
}
