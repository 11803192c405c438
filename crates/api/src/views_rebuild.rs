//! Building the views anew.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Command, Route};

/// Fills new views from the whole log while the present ones stay in use, and puts them in their
/// place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct RebuildViews {}

impl Command for RebuildViews {
    type Reply = ViewsRebuilt;
    const NAME: &'static str = "RebuildViews";
    const PERMISSION: &'static str = "system.rebuild";
    const ROUTE: Option<Route> = Some(Route::post("system/views/rebuild"));
}

/// The views that are in use now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewsRebuilt {
    /// Each of them.
    pub views: Vec<RebuiltView>,
}

/// A view that was built anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuiltView {
    /// The name of its projection.
    pub name: String,
    /// The last position that is folded in.
    pub position: u64,
    /// The event that its projection stopped at, if it did, as it did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<u64>,
    /// Why it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
