//! What every command and query has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Route;

/// A request to change something.
pub trait Command: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What it is answered with.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// Its stable name.
    const NAME: &'static str;
    /// What its caller must be allowed to do.
    const PERMISSION: &'static str;
    /// Where REST has it; every request can also be sent by its name.
    const ROUTE: Option<Route> = None;

    /// The key under which it happens once, however often it is sent; `None`: each one counts.
    fn idempotency_key(&self) -> Option<&str> {
        None
    }
}

/// A request to read something.
pub trait Query: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What it is answered with.
    type Reply: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// Its stable name.
    const NAME: &'static str;
    /// What its caller must be allowed to do.
    const PERMISSION: &'static str;
    /// Where REST has it; every request can also be sent by its name.
    const ROUTE: Option<Route> = None;
}

/// A command on its way to another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandEnvelope {
    /// [`Command::NAME`].
    pub command: String,
    /// The command itself.
    pub body: serde_json::Value,
}

/// A query on its way to another process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryEnvelope {
    /// [`Query::NAME`].
    pub query: String,
    /// The query itself.
    pub body: serde_json::Value,
}

/// An error as callers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// Stable code, for example `FC0301`.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The answer of a command that has nothing else to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// The log's position after it; 0 if there was nothing to change. A query that asks for at
    /// least this position reads what was written.
    pub position: u64,
}
