//! Taps on files: which files, how far each was read, and the records in them.
//!
//! The parts: `files` finds the files of each stream, `blocks` reads one of them, `format` is what
//! a file format must know, `csv` and `jsonl` know it, `bookmark` is the STATE, `sync` drives.

mod blocks;
mod bookmark;
mod csv;
mod discovery;
mod error;
mod files;
mod format;
mod increment;
mod jsonl;
mod output;
mod sync;

use std::path::Path;

use flexcore_singer::{Catalog, State};

pub(crate) use self::{
    csv::{CsvSettings, open_csv},
    error::TapError,
    jsonl::{JsonlSettings, open_jsonl},
    output::Output,
};
use crate::{failure::Failure, stop::Stop};

/// A configured tap.
pub(crate) trait Tap {
    /// What it could sync.
    fn discover(&self) -> Result<Catalog, TapError>;

    /// Syncs what the catalog selects (all without one) from where the state says, until the end
    /// or until asked to stop; either way the last message is a STATE.
    fn sync(
        &mut self,
        catalog: Option<&Catalog>,
        state: &State,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<(), TapError>;
}

/// Makes a tap from its configuration file.
pub(crate) type Open = fn(Option<&Path>) -> Result<Box<dyn Tap>, Failure>;
