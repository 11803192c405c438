//! How long executions are kept.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::DurationText;

/// How long executions and what they leave behind are kept, when old ones are removed
/// (`flexcore store prune`).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Retention {
    /// Executions in lists, from their creation on. Their events stay in the log.
    pub executions: Option<DurationText>,
    /// What the attempts of their steps wrote; as long as the executions unless given.
    pub logs: Option<DurationText>,
    /// Artifacts.
    #[schemars(extend("x-not-supported" = true))]
    pub artifacts: Option<DurationText>,
}
