//! The event log: `log.db`.

mod event_store;
mod group;
mod heads;
mod interned;
mod names;
mod queue;
mod read;
mod request;
mod roll_forward;
mod row;
mod schema;
mod statements;
mod transfer;
mod wal;
mod writer;

pub use event_store::SqliteEventStore;
pub(crate) use names::NameCache;
pub(crate) use read::batch_hash_at;
pub(crate) use roll_forward::log_end;
pub(crate) use row::{COLUMNS, ContextTexts, EventRow, blob, integer};
pub(crate) use schema::{HEADS_THROUGH, LOG};
pub use transfer::SqliteLogTransfer;
