//! The system at a glance: metrics, and how far the views follow the log.

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Query, Route};

/// Shows what was counted: pipelines, executions, attempts, records, bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct GetSystemMetrics {
    /// Only the metric with this name, for example executions; may be repeated
    #[arg(long = "name")]
    pub names: Vec<String>,
    /// How many to show
    #[arg(long, default_value_t = 200)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    pub after: Option<String>,
}

impl Default for GetSystemMetrics {
    fn default() -> Self {
        Self { names: vec![], limit: 200, after: None }
    }
}

impl Query for GetSystemMetrics {
    type Reply = SystemMetrics;
    const NAME: &'static str = "GetSystemMetrics";
    const PERMISSION: &'static str = "system.metrics";
    const ROUTE: Option<Route> = Some(Route::get("system/metrics"));
}

/// A page of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemMetrics {
    /// The metrics, by name and labels.
    pub items: Vec<MetricView>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricView {
    /// Its name.
    pub name: String,
    /// What is counted separately, for example `status` = `failed`.
    pub labels: BTreeMap<String, String>,
    /// Its value now.
    pub value: i64,
    /// When the event occurred that changed it last (RFC 3339).
    pub updated_at: String,
}

/// Shows how far each view follows the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetViews {}

impl Query for GetViews {
    type Reply = ViewList;
    const NAME: &'static str = "GetViews";
    const PERMISSION: &'static str = "system.views";
    const ROUTE: Option<Route> = Some(Route::get("system/views"));
}

/// The views.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewList {
    /// The last position of the log.
    pub head: u64,
    /// Each view.
    pub items: Vec<ViewStatus>,
}

/// How far a view follows the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewStatus {
    /// Its name.
    pub name: String,
    /// The last position that is folded in.
    pub position: u64,
    /// How many events of the log are not.
    pub lag: u64,
    /// The event that it cannot get over, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<ViewStopped>,
}

/// An event that cannot be folded into a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewStopped {
    /// Its position.
    pub position: u64,
    /// Why.
    pub reason: String,
}
