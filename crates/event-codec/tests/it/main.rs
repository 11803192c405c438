//! The stored forms as stores and projections see them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the whole binary is tests, its helper functions included"
)]

mod golden;
mod history;
mod malformed;
mod round_trip;
mod samples;
mod states;
mod strategies;
