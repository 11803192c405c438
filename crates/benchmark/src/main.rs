//! The measurements of `make benchmark`, each beside its limit in the same run.
//!
//! A measurement is worth little alone: machines differ, and one machine differs from hour to hour.
//! So each one is taken beside what bounds it (the same rows by bare inserts, the same bytes by a
//! bare pipe), in turns, in the same process, and the ratio is what has to be reached.
//!
//! `flexcore-benchmark [GROUP…]` runs all groups or those named, prints a table, and writes
//! `target/benchmark/results.json`: an array of `{group, name, value, unit, against, ratio, reach,
//! met}`, where `against` is the limit's value in the same unit, and `ratio` and it are null where a
//! measure is held against a fixed number. It fails if a measure is not met.
//!
//! # What this crate must not know
//!
//! How the measured parts work inside: it uses what their users use.
//!
//! # How to add the usual next thing
//!
//! A group: a file with a `pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>>`, and its
//! line in [`group::GROUPS`].

mod data;
mod flexcore;
mod group;
mod log_postgres;
mod log_sqlite;
mod measure;
mod plugins;
mod pump;
mod report;
mod run;
mod sample;
mod server;
mod views;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(code) = flexcore_sandbox::run_if_launcher(std::env::args_os()) {
        return Ok(code);
    }
    if let Some(code) = flexcore_plugin_wasm::run_if_worker(std::env::args_os()) {
        return Ok(code);
    }
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(pump::DISCARD).is_some() {
        return pump::discard(arguments).map(|()| ExitCode::SUCCESS);
    }
    if arguments.next_if_eq(plugins::process::PLUGIN).is_some() {
        return Ok(plugins::process::serve_plugin());
    }
    if arguments.next_if_eq(plugins::process::SERVER).is_some() {
        let socket = arguments.next().context("the path of a socket")?;
        return plugins::process::serve_bare(socket.into());
    }
    if arguments.next_if_eq(server::PEER).is_some() {
        let file = arguments.next().context("the path of a file")?;
        return server::serve_peer(Path::new(&file)).map(|()| ExitCode::SUCCESS);
    }
    let only: Vec<String> = arguments.filter(|word| !word.is_empty()).collect();
    let groups = group::chosen(&only)?;
    let folder = target_folder().join("benchmark");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut results = Vec::new();
    for group in groups {
        // On the disk that the project lies on: `/tmp` may be memory, which has no flush to wait for.
        let work = tempfile::Builder::new().prefix("work-").tempdir_in(&folder)?;
        for measure in (group.run)(work.path()).with_context(|| group.name.to_owned())? {
            results.push((group.name, measure));
        }
    }
    report::print(&results);
    report::write(&results, &folder.join("results.json"))?;
    let met = results.iter().all(|(_, measure)| measure.is_met());
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `target/` of this workspace.
fn target_folder() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).join("target")
}
