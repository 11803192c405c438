//! The Singer protocol without I/O: messages, catalogs, selection and state.
//!
//! Singer moves records between two processes as JSON lines (specification: SPEC.md of
//! `singer-io/getting-started`, 0.3.0, with the additions of the Meltano SDK). This crate knows how
//! those lines look and what they mean. It must not know where they come from: no files, pipes,
//! clock, environment or async, so that the pump, the native connectors and the command line share
//! one meaning of every message, and tests need nothing but bytes.
//!
//! # Three depths of reading
//!
//! * [`glance()`] tells kind and stream of a line and looks at nothing else. The pump pays this price
//!   for every line.
//! * [`Message::parse`] checks the whole line strictly and borrows raw parts from it: values that
//!   only pass through (a record, a STATE value) stay the bytes they were.
//! * [`Json`] is a tree for the little that is edited: catalogs and states. It keeps the order of
//!   members and the text of numbers, which `serde_json::Value` would not.
//!
//! # How to add the usual next thing
//!
//! A message kind: a variant of [`Kind`] with its name in `glance.rs`, then a struct with `parse`
//! and `write_line` in `message.rs` and a line in the round-trip property of `tests/it.rs`.
//! A rule on catalogs: a field of [`CatalogRules`] and a step of [`Catalog::apply`].

mod catalog;
mod compare;
mod glance;
mod glob;
mod json;
mod message;
mod rules;
mod scan;
mod selection;
mod state;
mod text;
mod write;

pub use catalog::{Catalog, CatalogError, CatalogStream, MetadataEntry};
pub use compare::{compare_numbers, compare_values};
pub use glance::{Glance, Kind, glance};
pub use glob::Glob;
pub use json::{Json, Object};
pub use message::{
    ActivateVersionMessage, BatchMessage, Message, MessageError, RecordMessage, SchemaMessage,
    StateMessage,
};
pub use rules::{CatalogRules, MetadataRule, RulePlace, SchemaRule, SelectPattern, UnmatchedRule};
pub use scan::{JsonError, JsonProblem, Member, Members, members};
pub use state::{Change, Regression, State, StateDifference, StateError};
pub use text::{unquote, write_string, write_string_bytes};
pub use write::write_record_start;
