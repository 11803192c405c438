//! The connectors as the processes that they are: real pipes, files, signals and file systems.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]
#![expect(clippy::format_collect, reason = "inputs of tests are small and read better so")]

mod disk;
mod process;
mod protocol;
mod resume;
mod round_trip;
mod sqlite;
mod tap_files;
