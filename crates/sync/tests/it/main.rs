//! Syncs of real programs: shell and Python scripts that each test writes itself.

#![expect(clippy::unwrap_used, reason = "a test whose stage cannot be set fails")]
#![expect(clippy::panic, reason = "an outcome of another kind fails its test")]

mod cancelling;
mod catalogs;
mod confirming;
mod failing;
mod jailed;
mod passing;
mod private_files;
mod stage;
