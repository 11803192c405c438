//! Reading the log.

use flexcore_eventsourcing::{Hash, RecordedEvent, StreamName, Timestamp, leaf_hash};
use flexcore_ports::{ReadFilter, StoreError};
use rusqlite::{Connection, OptionalExtension, Rows, ToSql};

use super::{
    names::NameCache,
    row::{COLUMNS, EventRow},
};
use crate::{error::store_error, readers::Reader};

/// The most events that one read gives.
pub(crate) const MAX_PAGE: usize = 10_000;

/// Events of one stream.
pub(crate) fn read_stream(
    reader: &mut Reader,
    stream: &StreamName,
    from_version: u64,
    limit: usize,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM event \
         WHERE stream_id = (SELECT id FROM stream WHERE name = ?1) AND version >= ?2 \
         ORDER BY version LIMIT ?3"
    );
    let from = bound(from_version);
    page(reader, &sql, &[&stream.as_str(), &from, &rows(limit)])
}

/// Events of the whole log.
pub(crate) fn read_all(
    reader: &mut Reader,
    after: u64,
    limit: usize,
    filter: &ReadFilter,
) -> Result<Vec<RecordedEvent>, StoreError> {
    if filter.types.is_empty() {
        let sql =
            format!("SELECT {COLUMNS} FROM event WHERE position > ?1 ORDER BY position LIMIT ?2");
        return page(reader, &sql, &[&bound(after), &rows(limit)]);
    }
    let positions = positions_of(&reader.connection, after, limit, &filter.types)
        .map_err(|error| store_error(&error, "index event_by_type"))?;
    let sql = format!("SELECT {COLUMNS} FROM event WHERE position = ?1");
    let mut events = Vec::with_capacity(positions.len());
    for position in positions {
        events.extend(page(reader, &sql, &[&position])?);
    }
    Ok(events)
}

/// The first positions after `after` that hold one of these types: a run over the index per type.
fn positions_of(
    connection: &Connection,
    after: u64,
    limit: usize,
    types: &[String],
) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT position FROM event INDEXED BY event_by_type \
         WHERE type_id = (SELECT id FROM event_type WHERE name = ?1) AND position > ?2 \
         ORDER BY position LIMIT ?3",
    )?;
    let mut positions = Vec::new();
    for name in types {
        let found =
            statement.query_map((name, bound(after), rows(limit)), |row| row.get::<_, i64>(0))?;
        for position in found {
            positions.push(position?);
        }
    }
    positions.sort_unstable();
    positions.dedup();
    positions.truncate(limit.min(MAX_PAGE));
    Ok(positions)
}

/// The last position that was committed at or before `time`: a binary search over batches, whose
/// times never decrease.
pub(crate) fn position_at(connection: &Connection, time: Timestamp) -> Result<u64, StoreError> {
    let search = || -> rusqlite::Result<u64> {
        let mut statement = connection.prepare_cached(
            "SELECT first_position, last_position, committed_at FROM batch \
             WHERE last_position >= ?1 ORDER BY last_position LIMIT 1",
        )?;
        let end: i64 = connection.query_row(
            "SELECT coalesce(max(last_position), 0) FROM batch",
            [],
            |row| row.get(0),
        )?;
        let (mut good, mut low, mut high) = (0, 1, end);
        while low <= high {
            let middle = low + (high - low) / 2;
            let (first, last, committed_at): (i64, i64, i64) =
                statement.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            if committed_at <= time.as_micros() {
                good = last;
                low = last.max(middle) + 1;
            } else {
                high = first.min(middle) - 1;
            }
        }
        Ok(good.unsigned_abs())
    };
    search().map_err(|error| store_error(&error, "table batch"))
}

/// The hash of the batch that ends at `position`.
pub(crate) fn batch_hash_at(
    connection: &Connection,
    position: u64,
) -> Result<Option<Hash>, StoreError> {
    connection
        .prepare_cached("SELECT hash FROM batch WHERE last_position = ?1")
        .and_then(|mut statement| {
            statement.query_row([bound(position)], |row| row.get(0).map(Hash)).optional()
        })
        .map_err(|error| store_error(&error, format!("the batch that ends at {position}")))
}

fn page(
    reader: &mut Reader,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Vec<RecordedEvent>, StoreError> {
    let Reader { connection, names } = reader;
    let mut statement =
        connection.prepare_cached(sql).map_err(|e| store_error(&e, "table event"))?;
    let rows = statement.query(parameters).map_err(|e| store_error(&e, "table event"))?;
    collect(connection, names, rows)
}

fn collect(
    connection: &Connection,
    names: &mut NameCache,
    mut rows: Rows<'_>,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    let mut times = CommitTimes::default();
    loop {
        let place = || match events.last() {
            Some(event) => format!("the event after position {}", event.position),
            None => "an event".to_owned(),
        };
        let Some(row) = rows.next().map_err(|error| store_error(&error, place()))? else {
            return Ok(events);
        };
        let row = EventRow::read(row).map_err(|column| StoreError::Corrupt {
            place: place(),
            reason: format!("column {column} holds what was never written"),
        })?;
        events.push(recorded(connection, names, &mut times, &row)?);
    }
}

/// The event of a row. Its leaf is recomputed, so that a changed byte never reaches a reader.
pub(crate) fn recorded(
    connection: &Connection,
    names: &mut NameCache,
    times: &mut CommitTimes,
    row: &EventRow<'_>,
) -> Result<RecordedEvent, StoreError> {
    let stream = names.stream(connection, row.stream_id)?;
    let type_name = names.event_type(connection, row.type_id)?;
    let event = row.event(type_name, names.context(connection, row.context_id)?);
    if leaf_hash(&stream, &event) != row.leaf {
        return Err(StoreError::Corrupt {
            place: format!("position {}", row.position),
            reason: format!("the event of {stream} does not have the hash it was stored with"),
        });
    }
    Ok(RecordedEvent {
        position: row.position,
        stream,
        version: row.version,
        committed_at: times.of(connection, row.position)?,
        leaf: row.leaf,
        event,
    })
}

/// When batches were committed; remembers the last, as neighbours mostly share theirs.
#[derive(Debug, Default)]
pub(crate) struct CommitTimes {
    first: u64,
    last: u64,
    committed_at: Timestamp,
}

impl CommitTimes {
    /// For a read of one batch.
    pub(crate) fn of_batch(first: u64, last: u64, committed_at: Timestamp) -> Self {
        Self { first, last, committed_at }
    }

    fn of(&mut self, connection: &Connection, position: u64) -> Result<Timestamp, StoreError> {
        if !(self.first..=self.last).contains(&position) || self.last == 0 {
            *self = Self::find(connection, position).map_err(|error| {
                store_error(&error, format!("the batch of position {position}"))
            })?;
        }
        Ok(self.committed_at)
    }

    fn find(connection: &Connection, position: u64) -> rusqlite::Result<Self> {
        connection
            .prepare_cached(
                "SELECT first_position, last_position, committed_at FROM batch \
                 WHERE last_position >= ?1 ORDER BY last_position LIMIT 1",
            )?
            .query_row([bound(position)], |row| {
                Ok(Self {
                    first: row.get(0)?,
                    last: row.get(1)?,
                    committed_at: Timestamp::from_micros(row.get(2)?),
                })
            })
    }
}

/// A position or version as SQLite's signed integer; nothing is stored beyond its range.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_PAGE)).expect("ten thousand fits")
}
