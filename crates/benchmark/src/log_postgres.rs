//! Group `log-postgres`: appends beside what else one can do with the same server.
//!
//! A private cluster on this machine, with `fsync` on; its clients run on the same processors. Each
//! side has a database of its own, 256 bytes of payload, and tables with the indexes that it needs.
//! The sides of a row take turns in short slices, so that whatever else the machine does disturbs
//! both; the rows' ratios are what counts. `ROWS=lone,visible` measures some rows only; their names are
//! those of the functions in `rows`.

mod bare;
mod message_db;
mod ours;
mod rows;
mod visible;

use std::path::Path;

use anyhow::Context;
use flexcore_testkit::postgres::Server;

use crate::measure::Measure;
use rows::Rows;

/// What the server gets beyond its defaults, for all sides alike: room, and no checkpoint that hits
/// one side and not the other.
const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "300"),
];

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start_with(&SETTINGS).await.context("the server")?;
        Rows::new(server, work).measure().await
    })
}
