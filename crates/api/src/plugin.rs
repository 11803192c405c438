//! Plugins: the taps and targets that pipelines name or syncs have used.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Query;

/// Lists the plugins that pipelines name or syncs have used, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListActivePlugins {
    /// Only one end of syncs: tap or target
    #[arg(long)]
    pub role: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    pub after: Option<String>,
}

impl Default for ListActivePlugins {
    fn default() -> Self {
        Self { role: None, limit: 50, after: None }
    }
}

impl Query for ListActivePlugins {
    type Reply = PluginPage;
    const NAME: &'static str = "ListActivePlugins";
    const PERMISSION: &'static str = "plugin.read";
}

/// Shows one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetPlugin {
    /// Its name, as the list has it
    pub name: String,
    /// Which end of syncs: tap or target; needed where a name is both
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl Query for GetPlugin {
    type Reply = PluginView;
    const NAME: &'static str = "GetPlugin";
    const PERMISSION: &'static str = "plugin.read";
}

/// A page of plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginPage {
    /// The plugins, by name and role.
    pub items: Vec<PluginView>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// What is known of a plugin, as far as the events of pipelines and syncs tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginView {
    /// Its name as bookmarks have it: a connector's, or `name (program)`.
    pub name: String,
    /// `tap` or `target`.
    pub role: String,
    /// How many pipelines that are not archived name it, in the environment `default`.
    pub pipelines: u64,
    /// How many attempts of syncs ran it.
    pub attempts: u64,
    /// How many of them failed, whichever end was to blame.
    pub failures: u64,
    /// When an attempt began with it last (RFC 3339).
    pub last_used_at: Option<String>,
    /// When an attempt with it failed last (RFC 3339).
    pub last_failed_at: Option<String>,
    /// Why, in one line.
    pub last_error: Option<String>,
}
