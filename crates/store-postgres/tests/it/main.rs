//! The store on a real server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod contract;
mod coordinator;
mod interleaving;
mod lease;
mod soak;
mod tampering;
mod views;
