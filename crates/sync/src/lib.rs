//! Moves records from a tap to a target: two programs, a pump between them, and what the target
//! confirms.
//!
//! ```text
//! tap ──stdout──▶ pump ──stdin──▶ target ──stdout──▶ confirmed STATE ──▶ observer
//!  └─stderr─▶ log   └─▶ counts, SCHEMA    └─stderr─▶ log
//! ```
//!
//! The pump is a thread with blocking pipes at both ends; everything else is one task. What can be
//! relied on:
//!
//! * The target sees whole lines, byte for byte as the tap wrote them, in order; what is no message
//!   never reaches it.
//! * Only what the *target* prints counts as confirmed; STATE of the tap just passes.
//! * When an attempt returns, or is dropped, no process of it lives on and its private files are gone.
//! * A success means: both programs ended with 0 by themselves, the tap's last line was whole, and
//!   the target had read everything. An exit with 0 after our own SIGTERM is a cancel.
//! * Memory is bounded by `max_line`, the number of streams and a few fixed buffers.
//!
//! The process contract is that of Singer (`SPEC.md` of `singer-io/getting-started`, 0.3.0).
//!
//! # What it must not know
//!
//! Events, bookmarks and their merging, templates and secrets: settings come rendered, and what is
//! confirmed goes to the observer as it was printed. What a message holds beyond kind and stream is
//! not looked at.
//!
//! # How to add the usual next thing
//!
//! * Something that reads or changes records (mappers, checks, dead letters): a stage on the runs of
//!   lines in `pump::Pump::hand_over`, which must leave runs of untouched streams alone.
//! * A rule about who ends when: an arm in `course`, and a test with real processes in `tests/it`.
//! * A Singer flag: `attempt::Attempt::spawn`.

mod attempt;
mod catalog;
mod confirmation;
mod course;
mod diagnosis;
mod discovery;
mod failure;
mod folder;
mod lines;
mod plugin;
mod program;
mod pump;
mod runner;
mod text;
mod workplace;

pub use runner::{PumpSyncRunner, SyncOptions};
