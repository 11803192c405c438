//! Which plugins there are.

use std::{io::Write, process::ExitCode};

use flexcore_plugin_sdk::{Plugin, PluginInfo};
use serde_json::Value;

use crate::{DataValidator, JsonTransform, PostgresProcessor};

/// The version of all of them, which is that of FlexCore.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

const NAMES: [&str; 3] = [JsonTransform::NAME, DataValidator::NAME, PostgresProcessor::NAME];

/// The names of the plugins.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// What a plugin is for, in a sentence; `None` if there is none of that name.
pub fn description(name: &str) -> Option<&'static str> {
    match name {
        JsonTransform::NAME => Some("Transforms records with a jq program."),
        DataValidator::NAME => {
            Some("Passes on records that fit a JSON Schema and puts the others aside.")
        }
        PostgresProcessor::NAME => Some("Runs an SQL statement on PostgreSQL; rows are records."),
        _ => None,
    }
}

/// The JSON Schema of a plugin's settings; `None` if there is none of that name.
pub fn config_schema(name: &str) -> Option<Value> {
    match name {
        JsonTransform::NAME => Some(JsonTransform.config_schema()),
        DataValidator::NAME => Some(DataValidator.config_schema()),
        PostgresProcessor::NAME => Some(PostgresProcessor.config_schema()),
        _ => None,
    }
}

/// What a plugin says it is; `None` if there is none of that name.
pub(crate) fn info(name: &str) -> Option<PluginInfo> {
    match name {
        JsonTransform::NAME => Some(JsonTransform.info()),
        DataValidator::NAME => Some(DataValidator.info()),
        PostgresProcessor::NAME => Some(PostgresProcessor.info()),
        _ => None,
    }
}

/// Serves a plugin until its host ends it.
pub fn serve(name: &str) -> ExitCode {
    match name {
        JsonTransform::NAME => flexcore_plugin_sdk::serve(JsonTransform),
        DataValidator::NAME => flexcore_plugin_sdk::serve(DataValidator),
        PostgresProcessor::NAME => flexcore_plugin_sdk::serve(PostgresProcessor),
        _ => {
            let known = NAMES.join(", ");
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(
                std::io::stderr(),
                "there is no first-party plugin `{name}`; there are {known}"
            );
            ExitCode::FAILURE
        }
    }
}
