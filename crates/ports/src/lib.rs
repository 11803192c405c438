//! What the core asks of the outside world, as object-safe traits.
//!
//! A port is named for what it is (`EventStore`, `Secrets`), holds at most about seven methods, is
//! used as `Arc<dyn Port>`, and its errors say what happened in the core's words: no SQL, HTTP or
//! process type crosses it.
//!
//! # How to add a port
//!
//! Write the trait and its errors in a file of its own here, its implementation in the adapter
//! crate of one technology, name both in the binary's wiring, and give `testkit` a contract suite
//! as soon as there is a second implementation.

mod append_limits;
mod artifacts;
pub mod attempt;
mod checkpoint_sink;
mod clock;
mod coordinator;
mod event_store;
mod grants;
mod log_control;
mod log_transfer;
mod logs;
pub mod metric;
mod plugin;
mod plugin_store;
mod secrets;
mod storage;
mod trace;
mod view_store;
mod views_rebuild;

pub use append_limits::{check_append, check_event};
pub use artifacts::Artifacts;
pub use checkpoint_sink::CheckpointSink;
pub use clock::{Clock, Ids, NoRandomness};
pub use coordinator::{
    AttemptDeadline, Coordinator, CoordinatorError, Lease, LeaseAnswer, LeaseHolder, lease_margin,
};
pub use event_store::{
    AppendError, Appended, EventStore, LogCounts, LogHead, LogVerifier, ReadFilter,
    SharedEventStore, Snapshot, Snapshots, StoreError, VerifyFault, VerifyReport,
};
pub use grants::{GrantsError, OperatorGrants};
pub use log_control::{LogControl, LogLevel, UnknownLogLevel};
pub use log_transfer::{LogBatch, LogTransfer, TransferError, WitnessedHeads};
pub use logs::{AttemptLog, LogLine, LogSource, Logs};
pub use plugin::{
    CallablePlugin, ConfigProblem, PluginCall, PluginDescription, PluginEnd, PluginError,
    PluginHost, PluginOutput, PluginSchema,
};
pub use plugin_store::{
    DiscoveredPlugin, PluginSource, PluginStore, PluginStoreError, StoredPlugin,
};
pub use secrets::{Mask, SecretError, Secrets};
pub use storage::StorageError;
pub use trace::{SpanId, TraceContext, TraceId, TraceSampler};
pub use view_store::{
    ApplyError, BookmarkSummary, Checkpoint, DataStreamFilter, DataStreamRow, DataStreamViews,
    ExecutionFilter, ExecutionRow, ExecutionViews, Expiring, Fold, KEPT_FROM_NOTE, MetricFilter,
    MetricKey, MetricRow, MetricViews, NoteRow, Page, PipelineFilter, PipelineRow, PipelineViews,
    PluginFilter, PluginKey, PluginRole, PluginRow, PluginViews, ProjectedRows, ProjectionStatus,
    RowKey, SchemaSummary, Stopped, SyncSummary, ViewRow, ViewStore,
};
pub use views_rebuild::{RebuildViews, ViewsRebuild};
