//! Real processes through a real launcher, on every tier that this machine allows.

#![expect(clippy::unwrap_used, reason = "a test whose stage cannot be set fails")]

mod bench;
mod death;
mod ending;
mod errors;
mod jail;
mod running;
