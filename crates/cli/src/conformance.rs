//! What a plugin's conformance is told as.

use serde::Serialize;

/// Whether a plugin keeps the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConformanceReport {
    /// The plugin's folder, as it was named.
    pub folder: String,
    /// Whether everything that was looked at is as it should be.
    pub conforms: bool,
    /// What was looked at, in that order.
    pub checks: Vec<ConformanceCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConformanceCheck {
    /// What, in a few words.
    pub name: String,
    /// How it came out.
    pub outcome: ConformanceOutcome,
    /// What is wrong, or why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConformanceOutcome {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed,
    /// Could not be looked at.
    Skipped,
}
