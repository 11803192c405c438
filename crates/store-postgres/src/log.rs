//! The event log.

mod answers;
mod arrays;
mod batch;
mod batcher;
mod drive;
mod event_store;
mod failure;
mod lane;
mod names;
mod partitions;
mod prepared;
mod published;
mod read;
mod resolve;
mod row;
mod tailer;
mod transfer;

pub use event_store::PostgresEventStore;
pub use transfer::PostgresLogTransfer;

pub(crate) use read::bound;
pub(crate) use row::{COLUMNS, Read, Texts};
pub(crate) use transfer::{BatchRow, batch_rows, stream_ids};
