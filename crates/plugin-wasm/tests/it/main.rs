//! The host with real guests, most of them bad, in this process and in workers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose stage cannot be set fails, and says which stage"
)]

mod bench;
mod cache;
mod calls;
mod extism;
mod guests;
mod hostile;
mod outside;
mod wasi;
mod workers;
