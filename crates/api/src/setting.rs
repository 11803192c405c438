//! The settings of a server, as its operator asks for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Every setting of a server, with where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettingList {
    /// The file that was read; absent if there is none.
    pub file: Option<String>,
    /// The settings, by key.
    pub items: Vec<SettingView>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SettingView {
    /// Its key in the file, sections included, for example `server.port`.
    pub key: String,
    /// Its variable in the environment.
    pub variable: String,
    /// What holds; null if it is unset. Passwords in URLs are not shown.
    pub value: Value,
    /// Where it came from: `default`, a file and its line, a variable or a flag.
    pub origin: String,
}
