//! The event log itself.

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Query, Route};

/// Reads events in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
pub struct ReadEvents {
    /// Only events of this stream, for example default/execution/ex_…
    #[arg(long)]
    pub stream: Option<String>,
    /// Only events of this type; may be repeated
    #[arg(long = "type")]
    pub types: Vec<String>,
    /// Only events after this position
    #[arg(long, default_value_t = 0)]
    pub after: u64,
    /// Only events committed after this time (RFC 3339)
    #[arg(long)]
    pub since: Option<String>,
    /// How many to show
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// Events of all tenants, which only an operator may see
    #[arg(long)]
    pub all_tenants: bool,
}

impl Default for ReadEvents {
    fn default() -> Self {
        Self { stream: None, types: vec![], after: 0, since: None, limit: 100, all_tenants: false }
    }
}

impl Query for ReadEvents {
    type Reply = EventPage;
    const NAME: &'static str = "ReadEvents";
    const PERMISSION: &'static str = "event.read";
    const ROUTE: Option<Route> = Some(Route::get("events"));
}

/// Events in the order of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub items: Vec<EventView>,
    /// What to pass as `after` for what follows, also after a page with few events or none; absent
    /// at the end of the log.
    pub next: Option<u64>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its position in the log.
    pub position: u64,
    /// Its stream.
    pub stream: String,
    /// Its place in its stream.
    pub version: u64,
    /// Its id.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The version of its stored form.
    pub schema_version: u16,
    /// When it happened (RFC 3339).
    pub occurred_at: String,
    /// When it was committed (RFC 3339).
    pub committed_at: String,
    /// Who did it.
    pub actor: String,
    /// SHA-256 of its header and payload.
    pub leaf: String,
    /// What it says.
    pub payload: Value,
}

/// Counts what is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct GetLogStatistics {}

impl Query for GetLogStatistics {
    type Reply = LogStatistics;
    const NAME: &'static str = "GetLogStatistics";
    const PERMISSION: &'static str = "system.statistics";
    const ROUTE: Option<Route> = Some(Route::get("events/statistics"));
}

/// What is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStatistics {
    /// The last position: how many events there are.
    pub position: u64,
    /// How many batches they were committed in.
    pub batches: u64,
    /// The hash of the last batch.
    pub head: String,
    /// How many streams there are.
    pub streams: u64,
    /// How many events there are of each type, the most first.
    pub types: Vec<TypeCount>,
    /// When the first event was committed (RFC 3339).
    pub first_committed_at: Option<String>,
    /// When the last event was committed (RFC 3339).
    pub last_committed_at: Option<String>,
}

/// How many events there are of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TypeCount {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many.
    pub events: u64,
}

/// Proves that the log is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields)]
pub struct VerifyLog {}

impl Query for VerifyLog {
    type Reply = VerifyReply;
    const NAME: &'static str = "VerifyLog";
    const PERMISSION: &'static str = "system.verify";
    const ROUTE: Option<Route> = Some(Route::get("events/verification"));
}

/// What proving the log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReply {
    /// Whether everything holds.
    pub intact: bool,
    /// How many batches were checked.
    pub batches: u64,
    /// How many events were checked.
    pub events: u64,
    /// How many streams were checked.
    pub streams: u64,
    /// The hash of the last batch.
    pub head: String,
    /// The first thing that does not hold.
    pub fault: Option<LogFault>,
    /// What the log was compared with; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<CheckpointComparison>,
}

/// Signed checkpoints that a log was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointComparison {
    /// How many have a good signature. The log has what all of them say, unless there is a fault.
    pub compared: u64,
    /// Those that prove nothing because something is wrong with them.
    pub refused: Vec<RefusedCheckpoint>,
    /// The lines on which those begin that were not written to their end.
    pub unfinished: Vec<usize>,
}

/// A signed checkpoint with something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedCheckpoint {
    /// The line of the file that it begins on.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// A new pair of keys for checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointKeyPair {
    /// Where the private key is, for its owner only.
    pub private_key_file: String,
    /// Where the public key is.
    pub public_key_file: String,
    /// The public key.
    pub public_key: String,
}

/// A checkpoint that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedCheckpoint {
    /// Which log: the leaf of its first event.
    pub log: String,
    /// Its last position.
    pub position: u64,
    /// The number of its last batch.
    pub batch: u64,
    /// The hash of its last batch.
    pub hash: String,
    /// When it was signed (RFC 3339).
    pub signed_at: String,
    /// The file that it was added to; absent if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The signed note.
    pub note: String,
}

/// A log that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogCopied {
    /// Where it was copied from.
    pub from: String,
    /// Where it was copied to.
    pub to: String,
    /// The last position.
    pub position: u64,
    /// How many batches there are.
    pub batches: u64,
    /// The hash of the last batch, the same on both sides.
    pub head: String,
}

/// The first thing in the log that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogFault {
    /// The first bad batch, if the fault can be told to be in one.
    pub batch: Option<u64>,
    /// The page of the file that cannot be read, if that is the fault.
    pub page: Option<u64>,
    /// The last position that is proven good.
    pub last_good_position: u64,
    /// What does not hold.
    pub reason: String,
}
