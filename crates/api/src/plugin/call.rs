//! Asking plugins.

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CapabilityUseView, Command, IsolationView, Query, Route};

/// Starts a plugin and asks what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct InitializePlugin {
    /// Its name
    pub name: String,
}

impl Command for InitializePlugin {
    type Reply = PluginInitialized;
    const NAME: &'static str = "InitializePlugin";
    const PERMISSION: &'static str = "plugin.execute";
    const ROUTE: Option<Route> = Some(Route::post("plugins/{name}/initialize"));
}

/// What starting a plugin came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginInitialized {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it says that it is well.
    pub healthy: bool,
    /// What it says against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Calls a plugin by hand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutePlugin {
    /// Its name.
    pub name: String,
    /// What to do, where it can do several things; empty for the usual.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// Its settings, a JSON object.
    #[serde(default = "no_settings")]
    pub config: Value,
    /// What goes in: an array is the records of the data stream `input`, anything else is
    /// parameters.
    #[serde(default)]
    pub input: Value,
    /// The idempotency key: asking twice with one key makes one call. Its answer is given once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

fn no_settings() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Command for ExecutePlugin {
    type Reply = PluginExecuted;
    const NAME: &'static str = "ExecutePlugin";
    const PERMISSION: &'static str = "plugin.execute";
    const ROUTE: Option<Route> =
        Some(Route::post("plugins/{name}/execute").keyed_by("idempotency_key"));

    fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }
}

/// What a call of a plugin came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginExecuted {
    /// The call: `pc_…`.
    pub call: String,
    /// What it answered as a whole.
    pub result: Option<Value>,
    /// The records that came out, by data stream.
    pub records: BTreeMap<String, Vec<Value>>,
    /// How long it took.
    pub duration_ms: u64,
    /// What held it.
    pub isolation: Option<IsolationView>,
    /// What it used of its rights, and what it tried in vain.
    pub uses: Vec<CapabilityUseView>,
}

/// Says whether settings are what a plugin takes: by its schema, and in its own eyes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidatePluginConfig {
    /// The plugin.
    pub name: String,
    /// The settings.
    pub config: Value,
}

impl Query for ValidatePluginConfig {
    type Reply = PluginConfigValidated;
    const NAME: &'static str = "ValidatePluginConfig";
    const PERMISSION: &'static str = "plugin.execute";
}

/// What is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginConfigValidated {
    /// Whether they can be used.
    pub valid: bool,
    /// What is wrong.
    pub problems: Vec<ConfigProblemView>,
}

/// Something that is wrong with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigProblemView {
    /// The JSON pointer of the setting; empty if the settings as a whole are meant.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Whether they can be used nevertheless.
    pub warning: bool,
}

/// Shows the schemas of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPluginSchema {
    /// The plugin.
    pub name: String,
    /// Settings with which it can look for its data streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Value>,
}

impl Query for GetPluginSchema {
    type Reply = PluginSchemaView;
    const NAME: &'static str = "GetPluginSchema";
    const PERMISSION: &'static str = "plugin.read";
    const ROUTE: Option<Route> = Some(Route::get("plugins/{name}/schema"));
}

/// The schemas of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginSchemaView {
    /// The JSON Schema of its settings.
    pub config: Option<Value>,
    /// The JSON Schemas of its data streams.
    pub data_streams: BTreeMap<String, Value>,
}
