//! Services over HTTP: a real one in Python, and listeners that speak no HTTP at all.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set fails")]

mod answers;
mod asking;
mod ending;
mod identity;
mod support;
mod wire;
