//! The `command` step.

use schemars::JsonSchema;
use serde::Deserialize;

use super::value::{EnvironmentMap, Templated, Text};

/// Runs a program (`argv`) or a script (`run`). It writes its output as JSON to the file named by
/// `FLEXCORE_OUTPUT`; its private folder is `FLEXCORE_WORK`.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, as they are; no shell sees them. Secrets are refused here:
    /// other users of the machine can see arguments. Pass them in `env`.
    #[schemars(length(min = 1))]
    pub argv: Option<Vec<Text>>,
    /// A script. Never splice untrusted values into it; pass them in `env`.
    pub run: Option<String>,
    /// The shell of a script: `bash` (`-euo pipefail`, the default) or `sh` (`-eu`).
    pub shell: Option<ShellWord>,
    /// The working directory, relative to the project root.
    pub cwd: Option<String>,
    /// Environment variables, over those of the step.
    pub env: Option<EnvironmentMap>,
    /// Exit codes that mean success; `[0]` unless given.
    #[schemars(length(min = 1))]
    pub ok_exit_codes: Option<Templated<Vec<Templated<i32>>>>,
}

/// The shell of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShellWord {
    /// `bash -euo pipefail`.
    Bash,
    /// `sh -eu`.
    Sh,
}
