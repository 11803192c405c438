//! Commands through a real launcher.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test whose stage cannot be set fails")]

mod bench;
mod ending;
mod jailed;
mod output;
mod running;
