//! Plugins: what a jail, a call and a start of each kind cost.
//!
//! A part: a file in `plugins/` with a `pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>>`,
//! and its line in [`PARTS`].

pub(crate) mod process;
mod spawn;
mod sync;
mod wasm;

use std::path::Path;

use crate::measure::Measure;

/// Takes some of the measurements, with a folder to work in.
type Part = fn(&Path) -> anyhow::Result<Vec<Measure>>;

const PARTS: &[Part] = &[spawn::run, sync::run, process::run, wasm::run];

/// Takes the measurements of the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for part in PARTS {
        measures.extend(part(work)?);
    }
    Ok(measures)
}
