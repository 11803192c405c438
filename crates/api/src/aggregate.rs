//! Aggregates as their events say.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{Query, Route};

/// Folds the events of a stream: the state of its aggregate now, or as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetAggregate {
    /// The stream, for example default/execution/ex_…
    pub stream: String,
    /// Its state after this many of its events
    #[arg(long, value_name = "N", conflicts_with = "at_time")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_version: Option<u64>,
    /// Its state when this time had passed (RFC 3339), by the times of commit
    #[arg(long, value_name = "TIME")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_time: Option<String>,
}

impl Query for GetAggregate {
    type Reply = AggregateView;
    const NAME: &'static str = "GetAggregate";
    const PERMISSION: &'static str = "event.read";
    const ROUTE: Option<Route> = Some(Route::get("aggregates/{*stream}"));
}

/// The state that the events of a stream lead to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AggregateView {
    /// The stream.
    pub stream: String,
    /// What kind of aggregate it belongs to.
    pub category: String,
    /// How many of its events are folded in.
    pub version: u64,
    /// The position of the last of them.
    pub position: u64,
    /// When the last of them was committed (RFC 3339).
    pub committed_at: String,
    /// The state. Times are microseconds since 1970 in UTC.
    #[schemars(with = "Value")]
    pub state: Box<RawValue>,
}
