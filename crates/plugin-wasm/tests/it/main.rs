//! The host with real guests, most of them bad, in this process and in workers.

#![expect(clippy::unwrap_used, reason = "a test whose stage cannot be set fails")]

mod bench;
mod cache;
mod calls;
mod extism;
mod guests;
mod hostile;
mod outside;
mod wasi;
mod workers;
