//! Data streams: what each sync remembers between executions, and what it came to.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Query, Route};

/// Lists data streams, by pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ListDataStreams {
    /// Only those of this pipeline
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Only those of this environment
    #[arg(long)]
    pub environment: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Show what comes after this cursor, as the last page gave it
    #[arg(long)]
    pub after: Option<String>,
}

impl Default for ListDataStreams {
    fn default() -> Self {
        Self { pipeline: None, environment: None, limit: 50, after: None }
    }
}

impl Query for ListDataStreams {
    type Reply = DataStreamPage;
    const NAME: &'static str = "ListDataStreams";
    const PERMISSION: &'static str = "data_stream.read";
    const ROUTE: Option<Route> = Some(Route::get("data-streams"));
}

/// Shows one data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetDataStream {
    /// The pipeline's name
    pub pipeline: String,
    /// Its state name: the step's id unless the sync names another
    pub state: String,
    /// The environment
    #[arg(long, default_value = "default")]
    #[serde(default = "crate::bookmark::default_environment")]
    pub environment: String,
    /// The key of a for_each item
    #[arg(long)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

impl Query for GetDataStream {
    type Reply = DataStreamView;
    const NAME: &'static str = "GetDataStream";
    const PERMISSION: &'static str = "data_stream.read";
    const ROUTE: Option<Route> = Some(Route::get("data-streams/{pipeline}/{state}"));
}

/// A page of data streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataStreamPage {
    /// The data streams, by pipeline.
    pub items: Vec<DataStreamView>,
    /// What to pass as `after` for the next page; absent at the end.
    pub next: Option<String>,
}

/// What is known of a data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataStreamView {
    /// Its event stream.
    pub stream: String,
    /// Its pipeline.
    pub pipeline: String,
    /// Its environment.
    pub environment: String,
    /// Its state name: the step's id unless the sync names another.
    pub state: String,
    /// The key of a `for_each` item.
    pub item: Option<String>,
    /// The tap that ran last.
    pub tap: Option<String>,
    /// The target that ran last.
    pub target: Option<String>,
    /// The execution that holds it now.
    pub holder: Option<String>,
    /// How far it got; absent if there is no bookmark.
    pub bookmark: Option<BookmarkOutline>,
    /// How many syncs completed.
    pub syncs: u64,
    /// The records of all that completed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The schemas that were seen, by Singer stream.
    pub schemas: Vec<SchemaOutline>,
    /// Its newest sync.
    pub last_sync: Option<SyncOutline>,
}

/// A bookmark without its values; `bookmark show` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookmarkOutline {
    /// The Singer streams that it has a position for.
    pub streams: Vec<String>,
    /// How many positions there are in them.
    pub positions: u64,
    /// When it changed last (RFC 3339).
    pub updated_at: String,
    /// The execution that changed it; absent if a person did.
    pub execution: Option<String>,
}

/// A Singer stream's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchemaOutline {
    /// The Singer stream.
    pub stream: String,
    /// How many versions of its schema were seen.
    pub versions: u64,
    /// When the newest of them was seen first (RFC 3339).
    pub seen_at: String,
}

/// A sync that ran on a data stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncOutline {
    /// The execution.
    pub execution: String,
    /// `running`, `completed`, `failed` or `cancelled`.
    pub outcome: String,
    /// When it began (RFC 3339).
    pub started_at: String,
    /// When it ended (RFC 3339).
    pub ended_at: Option<String>,
    /// The records that it moved, known when it completed.
    pub records: u64,
    /// Their bytes, known when it completed.
    pub bytes: u64,
}
