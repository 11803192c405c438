//! Parameters of a pipeline.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::value::Free;

/// A parameter: a JSON Schema with two keys of ours.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
pub struct Parameter {
    /// Its value unless one is given; may be a template over earlier parameters, `env` and `run`.
    pub default: Option<Free>,
    /// Whether it takes only references to secrets and is never stored.
    pub secret: Option<bool>,
    /// Every other key of JSON Schema (draft 2020-12): `type`, `format`, `enum`, `items`, …
    #[serde(flatten)]
    pub schema: BTreeMap<String, Value>,
}
