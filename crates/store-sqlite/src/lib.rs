//! The embedded store: the event log and the views on SQLite.
//!
//! A store is a folder:
//!
//! | file | what it holds |
//! |---|---|
//! | `store.lock` | an exclusive lock; its holder is the only writer of everything else |
//! | `log.db` | the event log, `synchronous=FULL`: what was acknowledged survives a loss of power |
//! | `views.current`, `views-<n>.db` | views and snapshots, which can be built again from the log |
//!
//! [`SqliteStore::open`] opens the folder and gives out what implements the ports:
//! [`SqliteEventStore`], [`SqliteViewStore`], [`SqliteSnapshots`], [`SqliteLogVerifier`] and
//! [`SqliteLogTransfer`].
//!
//! # How an append becomes durable
//!
//! Callers check limits and hash their events on their own threads, and hand them over a bounded
//! queue to the one writer thread. It takes whatever has queued up, checks each append against the
//! exact ends of streams in its memory, writes the rows, and commits them all with one flush (group
//! commit). Refused appends never fail the others. Only then does anybody get an answer.
//!
//! A full disk fails the group and leaves nothing behind. Any other failed write stops the store:
//! after a failed flush nobody knows what is on the disk, so it refuses everything until it is
//! opened again.
//!
//! # What this crate must not know
//!
//! What events mean: payloads are bytes. Projections and use cases; they are in `app`.
//!
//! # How to add the usual next thing
//!
//! * A view: a row type and its update in the port, a table in `views/schema.rs` (with a new
//!   `format`, which makes old files be built again), a file in `views/` like `views/executions.rs`.
//! * A column of the log: it needs a new format of `log.db` and code that brings older files to it;
//!   ask first whether it belongs into an event's payload.

mod connection;
mod error;
mod folder;
mod lock;
mod log;
mod open_error;
mod readers;
mod snapshots;
mod status;
mod store;
mod verify;
mod views;

pub use lock::StoreLock;
pub use log::{SqliteEventStore, SqliteLogTransfer};
pub use open_error::OpenError;
pub use snapshots::SqliteSnapshots;
pub use status::{FolderStatus, status};
pub use store::{OpenMode, SqliteStore};
pub use verify::SqliteLogVerifier;
pub use views::{SqliteRebuildViews, SqliteViewStore, ViewsRebuild};
