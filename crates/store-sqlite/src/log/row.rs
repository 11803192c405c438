//! A row of table `event`.

use std::sync::Arc;

use flexcore_eventsourcing::{EventContext, EventData, EventId, Hash, Timestamp};
use rusqlite::{Row, types::ValueRef};
use uuid::Uuid;

/// The columns of `event` in the order of [`EventRow::read`].
pub(crate) const COLUMNS: &str = "position, stream_id, version, type_id, schema_version, \
     context_id, occurred_at, id, correlation, causation, sealing_key, leaf, payload";

/// The texts that an event's context refers to: tenant, actor, content type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ContextTexts {
    pub(crate) tenant: Arc<str>,
    pub(crate) actor: Arc<str>,
    pub(crate) content_type: Arc<str>,
}

/// A row of table `event`, borrowed from the statement that reads it.
#[derive(Debug)]
pub(crate) struct EventRow<'row> {
    pub(crate) position: u64,
    pub(crate) stream_id: i64,
    pub(crate) version: u64,
    pub(crate) type_id: i64,
    pub(crate) context_id: i64,
    pub(crate) leaf: Hash,
    schema_version: u16,
    occurred_at: Timestamp,
    id: Uuid,
    correlation: Option<Uuid>,
    causation: Option<Uuid>,
    sealing_key: Option<Uuid>,
    payload: &'row [u8],
}

impl<'row> EventRow<'row> {
    /// Reads a row of [`COLUMNS`].
    ///
    /// # Errors
    /// The name of a column that holds what nobody wrote.
    pub(crate) fn read(row: &'row Row<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            position: integer(row, 0).ok_or("position")?,
            stream_id: integer(row, 1).ok_or("stream_id")?,
            version: integer(row, 2).ok_or("version")?,
            type_id: integer(row, 3).ok_or("type_id")?,
            schema_version: integer(row, 4).ok_or("schema_version")?,
            context_id: integer(row, 5).ok_or("context_id")?,
            occurred_at: integer(row, 6).map(Timestamp::from_micros).ok_or("occurred_at")?,
            id: uuid(row, 7).ok_or("id")?.ok_or("id")?,
            correlation: uuid(row, 8).ok_or("correlation")?,
            causation: uuid(row, 9).ok_or("causation")?,
            sealing_key: uuid(row, 10).ok_or("sealing_key")?,
            leaf: blob(row, 11).and_then(Hash::from_slice).ok_or("leaf")?,
            payload: blob(row, 12).ok_or("payload")?,
        })
    }

    /// The event, with the texts that the row refers to.
    pub(crate) fn event(&self, type_name: Arc<str>, context: ContextTexts) -> EventData {
        EventData {
            id: EventId(self.id),
            type_name,
            schema_version: self.schema_version,
            occurred_at: self.occurred_at,
            context: EventContext {
                tenant: context.tenant,
                actor: context.actor,
                correlation: self.correlation,
                causation: self.causation,
                content_type: context.content_type,
                sealing_key: self.sealing_key,
            },
            payload: self.payload.to_vec(),
        }
    }
}

/// A column that must hold an integer of this type.
pub(crate) fn integer<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Option<T> {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(value)) => T::try_from(value).ok(),
        _ => None,
    }
}

/// A column that must hold bytes.
pub(crate) fn blob<'row>(row: &'row Row<'_>, column: usize) -> Option<&'row [u8]> {
    match row.get_ref(column) {
        Ok(ValueRef::Blob(bytes)) => Some(bytes),
        _ => None,
    }
}

/// A column that must hold a UUID or nothing.
#[expect(clippy::option_option, reason = "the outer one says whether the column is well-formed")]
fn uuid(row: &Row<'_>, column: usize) -> Option<Option<Uuid>> {
    match row.get_ref(column) {
        Ok(ValueRef::Null) => Some(None),
        Ok(ValueRef::Blob(bytes)) => Uuid::from_slice(bytes).ok().map(Some),
        _ => None,
    }
}
