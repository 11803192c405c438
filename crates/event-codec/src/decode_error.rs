//! Why a stored event cannot be read.

use flexcore_eventsourcing::UpcastError;
use thiserror::Error;

use crate::StoredEvent;

/// Why a stored event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// No event of the aggregate has this type name.
    #[error("`{type_name}` is not one of the event types {}", .known.join(", "))]
    UnknownType {
        /// The stored name.
        type_name: String,
        /// The type names of the aggregate.
        known: &'static [&'static str],
    },
    /// A newer program wrote the event.
    #[error(
        "{type_name} is stored in version {stored}, but this program reads only up to version \
         {known}; use the FlexCore that wrote it, or a newer one"
    )]
    Newer {
        /// The event type.
        type_name: &'static str,
        /// The stored version.
        stored: u16,
        /// The newest version that this program reads.
        known: u16,
    },
    /// An event of an old version could not be brought to the newest one.
    #[error(transparent)]
    Upcast(UpcastError),
    /// The payload is not what its type and version say.
    #[error(
        "the payload of {type_name} version {schema_version} is malformed at byte {offset}{}: \
         {reason}", in_field(.field.as_ref())
    )]
    Malformed {
        /// The event type.
        type_name: &'static str,
        /// The stored version.
        schema_version: u16,
        /// The path of the field that does not fit, for example `definition.steps[0].kind`; `None`
        /// if it is the payload as a whole.
        field: Option<String>,
        /// The last byte that was read, counted from 0. For an event of an old version: its place in
        /// the upcast form.
        offset: usize,
        /// What does not fit, cut to 300 characters.
        reason: String,
    },
}

fn in_field(field: Option<&String>) -> String {
    field.map(|path| format!(" in `{path}`")).unwrap_or_default()
}

impl DecodeError {
    /// No event of `E`'s aggregate is called `type_name`.
    pub(crate) fn unknown_type<E: StoredEvent>(type_name: &str) -> Self {
        Self::UnknownType { type_name: type_name.to_owned(), known: E::TYPES }
    }
}
