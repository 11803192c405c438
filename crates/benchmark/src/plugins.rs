//! Plugins: what a jail, a call and a start of each kind cost.
//!
//! A part: a file in `plugins/` with a `pub(super) fn run(work: &Path) -> anyhow::Result<Vec<Measure>>`,
//! and its line in [`PARTS`].

pub(crate) mod process;
mod spawn;
mod sync;
mod wasm;

use std::path::Path;

use crate::measure::{Measure, of_part};

/// Takes some of the measurements, with a folder to work in.
type Part = fn(&Path) -> anyhow::Result<Vec<Measure>>;

const PARTS: &[(&str, Part)] = &[
    ("jailed spawn", spawn::run),
    ("jailed sync", sync::run),
    ("process calls", process::run),
    ("WASM calls", wasm::run),
];

/// Takes the measurements of the group.
#[expect(clippy::unnecessary_wraps, reason = "all groups are run alike")]
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let mut measures = Vec::new();
    for (name, part) in PARTS {
        measures.extend(of_part(name, || part(work)));
    }
    Ok(measures)
}
