//! The texts behind the ids of this file, for readers.

use std::{collections::HashMap, sync::Arc};

use flexcore_eventsourcing::{StreamName, StreamNameError};
use flexcore_ports::StoreError;
use rusqlite::{Connection, OptionalExtension};

use super::row::ContextTexts;
use crate::error::store_error;

/// How many texts of each kind a reader keeps; they never change, so keeping them is always right.
const CAPACITY: usize = 10_000;

/// A connection's cache of the texts behind ids.
#[derive(Debug, Default)]
pub(crate) struct NameCache {
    streams: HashMap<i64, StreamName>,
    types: HashMap<i64, Arc<str>>,
    contexts: HashMap<i64, ContextTexts>,
}

impl NameCache {
    /// The name of a stream.
    pub(crate) fn stream(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> Result<StreamName, StoreError> {
        cached(&mut self.streams, id, || {
            let text: String = text_of(connection, "SELECT name FROM stream WHERE id = ?1", id)?;
            text.parse().map_err(|error: StreamNameError| {
                corrupt(&format!("stream {id}"), error.to_string())
            })
        })
    }

    /// The name of an event type.
    pub(crate) fn event_type(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> Result<Arc<str>, StoreError> {
        cached(&mut self.types, id, || {
            text_of(connection, "SELECT name FROM event_type WHERE id = ?1", id)
        })
    }

    /// The texts of a context.
    pub(crate) fn context(
        &mut self,
        connection: &Connection,
        id: i64,
    ) -> Result<ContextTexts, StoreError> {
        cached(&mut self.contexts, id, || {
            let place = format!("context {id}");
            connection
                .prepare_cached("SELECT tenant, actor, content_type FROM context WHERE id = ?1")
                .and_then(|mut statement| {
                    statement
                        .query_row([id], |row| {
                            Ok(ContextTexts {
                                tenant: row.get(0)?,
                                actor: row.get(1)?,
                                content_type: row.get(2)?,
                            })
                        })
                        .optional()
                })
                .map_err(|error| store_error(&error, place.clone()))?
                .ok_or_else(|| corrupt(&place, "there is no such row"))
        })
    }
}

fn cached<T: Clone>(
    known: &mut HashMap<i64, T>,
    id: i64,
    load: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if let Some(value) = known.get(&id) {
        return Ok(value.clone());
    }
    let value = load()?;
    if known.len() >= CAPACITY {
        known.clear();
    }
    known.insert(id, value.clone());
    Ok(value)
}

fn text_of<T: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    id: i64,
) -> Result<T, StoreError> {
    let place = format!("row {id} of `{sql}`");
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
        .map_err(|error| store_error(&error, place.clone()))?
        .ok_or_else(|| corrupt(&place, "there is no such row"))
}

fn corrupt(place: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Corrupt { place: place.to_owned(), reason: reason.into() }
}
