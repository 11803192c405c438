//! The store on PostgreSQL: the event log, views, snapshots and leases in one database, shared by
//! any number of processes and machines.
//!
//! Everything lies in schema `flexcore`, which the steps in `sql/` build. [`PostgresStore::open`]
//! gives out what implements the ports.
//!
//! # How an append becomes durable
//!
//! Callers check limits and hash their events on their own threads. Each process has one batcher,
//! which gathers what has queued up while a batch is on its way, and sends it as one call of
//! `flexcore.append_batch`. The call takes one advisory lock, checks versions and fences as they are
//! now, gives out the next positions, writes rows and the next link of the hash chain, and holds the
//! lock up to its commit. So positions are dense and in the order of commits, whatever the number of
//! processes, and a reader that sees a position sees all before it.
//!
//! A connection may end with a batch on its way. The batch is then sent again: events have ids, and
//! an append whose events stand where it wants them has succeeded.
//!
//! # Rights
//!
//! The owner migrates ([`migrate`]). A role of the application reads tables, calls functions that run
//! with the owner's rights, and changes views; it cannot change or remove events. Where one role does
//! both, triggers alone refuse changes. [`status`] says what holds.
//!
//! # What this crate must not know
//!
//! What events mean: payloads are bytes. Projections and use cases; they are in `app`.
//!
//! # How to add the usual next thing
//!
//! A table or function: a file `sql/NNNN_name.sql` and its line in `migration.rs`; a step that was
//! released never changes. A table that the application itself writes is named in
//! `flexcore.app_table`.

mod connection;
mod coordinator;
mod error;
mod log;
mod migration;
mod open_error;
mod options;
mod snapshots;
mod status;
mod store;
mod tls;
mod verify;
mod views;

pub use coordinator::{LeaseOwner, PostgresCoordinator};
pub use log::{PostgresEventStore, PostgresLogTransfer};
pub use migration::{Migrated, migrate};
pub use open_error::OpenError;
pub use options::{PostgresOptions, Role, hide_password};
pub use snapshots::PostgresSnapshots;
pub use status::{LogStatus, StoreStatus, status};
pub use store::PostgresStore;
pub use verify::PostgresLogVerifier;
pub use views::{PostgresRebuildViews, PostgresViewStore};
