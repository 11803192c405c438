//! The `plugin` step.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{Free, FreeMap, NameText};

/// Calls a plugin that is registered or comes with FlexCore. Its output is
/// `{ result, records: { <data stream>: [ … ] } }`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PluginCall {
    /// The plugin.
    pub name: NameText,
    /// Its settings; the plugin's own schema says what they may be. Secrets are allowed.
    pub config: Option<FreeMap>,
    /// What it works on: a list is the records of its data stream `input`, anything else is
    /// parameters.
    pub input: Option<Free>,
    /// What it is to do, where it can do several things.
    pub operation: Option<String>,
}

/// What an environment changes in a `plugin` step.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PluginCallSettings {
    /// Its settings, over those of the step.
    pub config: Option<FreeMap>,
    /// What it works on.
    pub input: Option<Free>,
    /// What it is to do.
    pub operation: Option<String>,
}
