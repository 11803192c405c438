//! How a server is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a server is, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerHealth {
    /// `healthy`, `degraded` or `unready`.
    pub status: String,
    /// Its parts, for who may ask.
    #[serde(default)]
    pub checks: Vec<ServerHealthCheck>,
}

/// How a part of a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerHealthCheck {
    /// Its name, such as `store`.
    pub name: String,
    /// Whether it does its work.
    pub healthy: bool,
    /// What is to be known of it.
    pub detail: String,
}
