//! Targets: reading messages, deciding when output is made durable, and where it goes.
//!
//! The parts: `input` cuts standard input into lines, `engine` checks and routes messages and
//! confirms STATEs, `sink` is what a target must know; `files`, `marks` and `history` are output
//! that can be taken back to a mark, `jsonl` and `csv` write them; `sqlite` is the target of that name.

mod batch;
mod columns;
mod csv;
mod engine;
mod error;
mod files;
mod history;
mod input;
mod jsonl;
mod marks;
mod sink;
mod sqlite;
mod template;

use std::path::Path;

pub(crate) use self::{
    csv::{CsvSettings, open_csv},
    engine::run,
    error::TargetError,
    jsonl::{JsonlSettings, open_jsonl},
    sqlite::{SqliteSettings, open_sqlite},
};
use crate::{environment::Environment, failure::Failure};

/// Makes a target from its configuration file.
pub(crate) type Open = fn(Option<&Path>, &Environment) -> Result<Box<dyn sink::Sink>, Failure>;
