//! The store on a real server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod appending;
mod contract;
mod coordinator;
mod faults;
mod interleaving;
mod lease;
mod migrating;
mod roles;
mod soak;
mod support;
mod tampering;
mod views;
