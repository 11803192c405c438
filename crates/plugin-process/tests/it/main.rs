//! The host with real plugins, most of them bad.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set fails")]

mod bad_answers;
mod bad_handshakes;
mod bench;
mod foreign;
mod go;
mod pool;
