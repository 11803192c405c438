//! Use cases of the event log itself.

mod read;
mod statistics;
mod verify;

pub use verify::verify_reply;
