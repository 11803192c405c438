//! The interface over a real store: in the process where the answer matters, over connections where
//! the connection does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod connections;
mod encrypted;
mod limits;
mod live;
mod reads;
mod routes;
mod stage;
