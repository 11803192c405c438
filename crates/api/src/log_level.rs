//! How much a running program's own log says.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route};

/// Changes how much the program's own log says, while it runs. The settings say it again at the
/// next start, and when they are read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct SetLogLevel {
    /// error, warn, info, debug or trace; each says what the ones before it say, and more
    pub level: String,
}

impl Command for SetLogLevel {
    type Reply = LogLevelSet;
    const NAME: &'static str = "SetLogLevel";
    const PERMISSION: &'static str = "system.logging";
    const ROUTE: Option<Route> = Some(Route::put("system/log-level"));
}

/// How much the log says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLevelSet {
    /// The level from now on.
    pub level: String,
    /// The level before.
    pub former: String,
}
