//! `[limits]`: how much one caller may ask for.

use serde::{Deserialize, Serialize};

/// How much one caller may ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitSettings {
    /// Requests of one caller in a second, in the long run; unset for as many as it likes.
    pub(crate) requests_per_second: Option<u32>,
    /// How many of them may come at once; unset for those of a second.
    pub(crate) burst: Option<u32>,
}
