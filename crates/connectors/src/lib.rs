//! Native taps and targets, each also an ordinary Singer executable.
//!
//! | name | what it does |
//! |---|---|
//! | `tap-csv` | CSV files to typed records, incremental by file or by a column |
//! | `tap-jsonl` | JSON Lines files to records, values untouched |
//! | `target-jsonl` | one JSON Lines file per stream, the record's own bytes |
//! | `target-csv` | one CSV file per stream |
//! | `target-sqlite` | one table per stream, upserts by key, evolving schemas |
//!
//! [`run`] is the whole program: it reads Singer's flags, speaks the protocol on standard input and
//! output, and reports on standard error. A connector knows nothing of FlexCore's engine; all that
//! it may learn from it comes in through [`Environment`]. It must not read the clock or the
//! environment by itself, and it shares no state with other connectors.
//!
//! # Effectively once
//!
//! A target marks, durably and before it confirms a STATE, how far its output had got at that
//! STATE ([`Environment::execution`] names whose mark it is). When the same execution starts it
//! again, everything after the mark of the last STATE that the engine committed
//! ([`Environment::committed_state`]) is taken back before the first record: files are cut, rows
//! above the mark are deleted. So rows that were written but never committed do not appear twice
//! when the tap sends them again. A new execution takes nothing back.
//!
//! # How to add a connector
//!
//! A tap for another kind of file implements `tap::format::RecordFormat` and gets bookmarks,
//! selection and incremental reading from `tap::sync`. A target implements `target::sink::Sink` and
//! gets line reading, checkpoints and signals from `target::engine`. Either then takes one line in
//! `registry.rs`.

mod arguments;
mod environment;
mod failure;
mod log;
mod registry;
mod settings;
mod stop;
mod tap;
mod target;

pub use environment::Environment;
pub use registry::{About, about, names, run};
