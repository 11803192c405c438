//! The `sync` step.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Checkpoint, Drift, MapRule, Parallel, Rejects,
    value::{EnvironmentMap, FreeMap, NameText, OrderedMap, SizeText, Templated, Text},
};

/// Moves records from a tap into a target.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Sync {
    /// Where records come from: a plugin's name, or a map that overrides its settings.
    pub tap: Option<PluginUse>,
    /// Where records go: a plugin's name, or a map that overrides its settings.
    pub target: Option<PluginUse>,
    /// The name of its bookmark; the step id unless given. The same in every execution, so it
    /// takes no template.
    pub state: Option<NameText>,
    /// Select rules over `stream.field`: globs, `!` excludes. Instead of the plugin's.
    pub select: Option<Vec<String>>,
    /// Select rules besides the plugin's.
    #[serde(rename = "select+")]
    pub select_also: Option<Vec<String>>,
    /// Metadata by glob over `stream` or `stream.field`; the last match wins.
    pub metadata: Option<OrderedMap<FreeMap>>,
    /// Schemas of single fields, by stream and field, over those that the tap discovers.
    pub schema: Option<BTreeMap<String, FreeMap>>,
    /// Changes to records on the way, a list for each stream.
    #[schemars(extend("x-not-supported" = true))]
    pub map: Option<BTreeMap<String, Vec<MapRule>>>,
    /// Whether to start from the beginning: `true`, or a list of streams.
    pub full_refresh: Option<Templated<FullRefreshSetting>>,
    /// How often the target is made to confirm.
    #[schemars(extend("x-not-supported" = true))]
    pub checkpoint: Option<Checkpoint>,
    /// How many streams move at a time.
    #[schemars(extend("x-not-supported" = true))]
    pub parallel: Option<Parallel>,
    /// What happens when the source changes its shape.
    #[schemars(extend("x-not-supported" = true))]
    pub drift: Option<Drift>,
    /// What happens to records that the target refuses.
    #[schemars(extend("x-not-supported" = true))]
    pub rejects: Option<Rejects>,
    /// What a pattern that matches nothing in the catalog does; `fail` unless given.
    pub unmatched: Option<Templated<UnmatchedWord>>,
    /// The longest line that is handed over; `16MiB` unless given, at most `1GiB`.
    pub max_line: Option<Templated<SizeText>>,
}

/// A tap or a target of a sync.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PluginUse {
    /// A plugin of the project file, or one that comes with FlexCore.
    Name(NameText),
    /// The same with settings of this step.
    Settings(Box<PluginUseSettings>),
}

/// A plugin with settings of this step.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PluginUseSettings {
    /// A plugin of the project file, or one that comes with FlexCore.
    pub plugin: Option<NameText>,
    /// The program and its first arguments; the Singer flags follow.
    #[schemars(length(min = 1))]
    pub command: Option<Vec<Text>>,
    /// The program, relative to the project root.
    pub path: Option<String>,
    /// Its settings, over those of the plugin.
    pub config: Option<FreeMap>,
    /// Environment variables of this process, over those of the step.
    pub env: Option<EnvironmentMap>,
}

/// What starts from the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FullRefreshSetting {
    /// Every stream, or none.
    All(bool),
    /// These streams.
    Streams(Vec<String>),
}

/// What a pattern that matches nothing in the catalog does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnmatchedWord {
    /// The attempt fails and names the pattern.
    Fail,
    /// The pattern is named in the log.
    Warn,
}
