//! `[store]`: where executions are recorded.

use serde::{Deserialize, Serialize};

/// Where executions are recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSettings {
    /// The URL of the database; unset for the embedded store, or what the project says.
    pub(crate) database_url: Option<String>,
}
