//! The stored form of each event: version tags, upcasters and golden files.
//!
//! Domain types do not know how they are stored, so that they can be renamed and reshaped; what is
//! stored lives here and outlives every such change. Each event has a *type name*, a *schema
//! version* and a *payload*, and [`StoredEvent`] goes from the domain's value to these and back.
//!
//! # The payload
//!
//! One compact JSON object with its fields in the order of their declaration.
//!
//! * Times are integer microseconds since 1970-01-01T00:00:00Z, durations are integer microseconds;
//!   both have names that end in `_us`. A duration is cut to whole microseconds.
//! * Ids and names are their text (`pl_…`, `ex_…`), hashes are 64 lower-case hex digits, the cases
//!   of an enum are lower-case words.
//! * An absent value is left out; `null` stands only where the value itself is JSON, which is kept
//!   as `serde_json` reads it, numbers included, nested up to [`MAX_JSON_DEPTH`] levels.
//! * A field that this program does not know is an error. Whoever adds one also raises the schema
//!   version, so that an older program refuses the event ([`DecodeError::Newer`]) instead of
//!   acting on half of it.
//!
//! # What this crate must not know
//!
//! I/O, stores, clocks, ids that were not handed to it, or what an event leads to.
//!
//! # How to add an event
//!
//! In the file of its aggregate: a payload struct with its `event_type!` line and its `From`, its
//! entry in `TYPES`, an arm in `encode` and one in `decode`. In `tests/it/samples.rs` a sample; the
//! golden test then says which file it misses and what has to be in it.
//!
//! # How to change an event
//!
//! A stored form is never changed and a golden file never edited. Change the payload struct, raise
//! the version in its `event_type!` line, register the step from the former version in
//! `upcasters.rs`, and add the golden file of the new version beside the old one, which has to be
//! readable for ever, and a history in which it occurs in `golden/history/v<n>`.
//!
//! # How to change a state
//!
//! States are stored for [snapshots](StoredState) only and can be made again: change the form and
//! raise the version in its `stored_state!` line; states of other versions are left aside.

mod access;
mod batch_writes;
mod data_stream;
mod decode_error;
mod execution;
mod form;
mod json;
mod payload;
mod pipeline;
mod pipeline_name;
mod plugin;
mod state;
mod stored_event;
mod upcasters;

pub use batch_writes::{StoredWrite, decode_writes, encode_write};
pub use decode_error::DecodeError;
pub use json::MAX_JSON_DEPTH;
pub use state::{StateError, StoredState};
pub use stored_event::{Encoded, StoredEvent};
