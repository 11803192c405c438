//! Use cases of the event log itself.

mod read;
mod statistics;
mod verify;

pub use read::{event_view, execution_event};
pub use verify::verify_reply;
