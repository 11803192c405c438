//! The application: command bus, query bus, one file per use case, projections and the execution
//! runner.
//!
//! ```text
//! request ─▶ bus ─ trace ▸ metrics ▸ audit ▸ permission ▸ idempotency ─▶ handler: load ▸ decide ─▶ EventStore.append
//!                                                                               │
//! runner ◀── claim ▸ fold ▸ plan ▸ append ▸ perform ────────────────────────────┤
//! views  ◀── projections ◀───────────────────────────────────────────────────────┘
//! ```
//!
//! # What this crate must not know
//!
//! Any technology: stores, processes, files and clocks are [ports](flexcore_ports). Wire formats
//! and command lines are the delivery crates' business.
//!
//! # How to add a use case
//!
//! Write its request in `api`, name it in the list there, and implement [`HandleCommand`] or
//! [`HandleQuery`] for [`Services`] in a file under the folder of its subject. Nothing has to be
//! registered: a request without a handler does not compile.

#[macro_use]
mod trace;

mod access;
mod bookmark;
mod bus;
mod context;
mod data_stream;
mod discover;
mod dispatch;
mod error;
mod event;
mod execution;
mod grants;
mod log_checkpoint;
mod log_copy;
pub mod output;
mod pipeline;
mod plugin;
mod projection;
mod replay;
mod repository;
mod runner;
mod sample;
mod services;
mod streams;
mod subscription;
mod system;
mod tenant;
mod time;
mod worker;

pub use access::{AuditTicket, CallerError, KnownCaller};
pub use bus::{
    CommandBus, HandleCommand, HandleQuery, QueryBus, RequestKind, RequestObserver, Unobserved,
};
pub use context::{OPERATORS_TENANT, Permissions, RequestContext};
pub use discover::{DiscoverPorts, Discovery, discover};
pub use dispatch::dispatch;
pub use error::UseCaseError;
pub use event::{event_view, execution_event, verify_reply};
pub use execution::{RunDecision, RunPolicy, Unfinished};
pub use grants::{MissingGrants, ProjectRights, StepRights, plan_rights};
pub use log_checkpoint::{
    CheckpointError, CheckpointExporter, CheckpointKey, CheckpointPublicKey, CheckpointTextError,
    FoundNote, KeyError, LogCheckpoint, NoteError, read_notes, sign_head,
};
pub use log_copy::{
    CopyError, EMPTY_LOG, LogFileError, LogFileHeader, ProvenBatches, batch_line, copy_log, prove,
    read_batch,
};
pub use pipeline::save_pipeline;
pub use plugin::{BuiltInPlugin, PluginBounds, PluginPorts, log_of_call};
pub use projection::{ProjectionError, Projector};
pub use repository::SnapshotPolicy;
pub use runner::{RunError, RunObserver, Runner, RunnerOptions};
pub use sample::{Sample, sample};
pub use services::{Ports, Services};
pub use subscription::{
    LogPage, LogSubscriptions, Start, Subscription, SubscriptionError, Tailer, TailerOptions,
};
pub use time::{format_time, parse_time};
pub use worker::{Worker, WorkerOptions};
