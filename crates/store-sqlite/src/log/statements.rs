//! The writer's prepared statements: compiled once, run for every event.

use flexcore_eventsourcing::{Epoch, EventData, Hash, Timestamp};
use rusqlite::{Connection, OptionalExtension, Result, Statement};

use super::{row::ContextTexts, schema::HEADS_THROUGH};

/// A row of `stream` as the writer reads it: id, version, head, owner epoch.
pub(crate) type StreamRow = (i64, u64, Hash, Epoch);

/// Position, id and leaf of a stored event.
pub(crate) type StoredEvent = (u64, [u8; 16], [u8; 32]);

/// Where an event goes and what it refers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventPlace {
    pub(crate) position: u64,
    pub(crate) stream_id: i64,
    pub(crate) version: u64,
    pub(crate) type_id: i64,
    pub(crate) context_id: i64,
    pub(crate) leaf: Hash,
}

/// A row of `batch`.
#[derive(Debug)]
pub(crate) struct BatchRow<'row> {
    pub(crate) number: u64,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    pub(crate) committed_at: Timestamp,
    pub(crate) writes: &'row [u8],
    pub(crate) root: Hash,
    pub(crate) hash: Hash,
}

/// The writer's prepared statements.
#[derive(Debug)]
pub(crate) struct Statements<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    insert_event: Statement<'c>,
    insert_batch: Statement<'c>,
    find_stream: Statement<'c>,
    insert_stream: Statement<'c>,
    update_stream: Statement<'c>,
    mark_heads: Statement<'c>,
    find_type: Statement<'c>,
    insert_type: Statement<'c>,
    find_context: Statement<'c>,
    insert_context: Statement<'c>,
    stored: Statement<'c>,
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> Result<Self> {
        let sql = |text: &str| connection.prepare(text);
        Ok(Self {
            begin: sql("BEGIN IMMEDIATE")?,
            commit: sql("COMMIT")?,
            rollback: sql("ROLLBACK")?,
            insert_event: sql("INSERT INTO event VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)")?,
            insert_batch: sql("INSERT INTO batch VALUES (?,?,?,?,?,?,?)")?,
            find_stream: sql("SELECT id, version, head, owner_epoch FROM stream WHERE name = ?")?,
            insert_stream: sql("INSERT INTO stream VALUES (NULL, ?, 0, zeroblob(32), 0)")?,
            update_stream: sql(
                "UPDATE stream SET version = ?2, head = ?3, owner_epoch = ?4 WHERE id = ?1",
            )?,
            mark_heads: sql("UPDATE meta SET value = ?2 WHERE key = ?1")?,
            find_type: sql("SELECT id FROM event_type WHERE name = ?")?,
            insert_type: sql("INSERT INTO event_type VALUES (NULL, ?)")?,
            find_context: sql(
                "SELECT id FROM context WHERE tenant = ? AND actor = ? AND content_type = ?",
            )?,
            insert_context: sql("INSERT INTO context VALUES (NULL, ?, ?, ?)")?,
            stored: sql(
                "SELECT position, id, leaf FROM event WHERE stream_id = ? AND version = ?",
            )?,
        })
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        self.begin.raw_execute().map(drop)
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        self.commit.raw_execute().map(drop)
    }

    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.rollback.raw_execute().map(drop)
    }

    pub(crate) fn insert_event(&mut self, place: EventPlace, event: &EventData) -> Result<()> {
        let context = &event.context;
        let row = &mut self.insert_event;
        row.raw_bind_parameter(1, place.position.cast_signed())?;
        row.raw_bind_parameter(2, place.stream_id)?;
        row.raw_bind_parameter(3, place.version.cast_signed())?;
        row.raw_bind_parameter(4, place.type_id)?;
        row.raw_bind_parameter(5, event.schema_version)?;
        row.raw_bind_parameter(6, place.context_id)?;
        row.raw_bind_parameter(7, event.occurred_at.as_micros())?;
        row.raw_bind_parameter(8, event.id.0.as_bytes().as_slice())?;
        row.raw_bind_parameter(9, context.correlation.as_ref().map(|id| id.as_bytes().as_slice()))?;
        row.raw_bind_parameter(10, context.causation.as_ref().map(|id| id.as_bytes().as_slice()))?;
        row.raw_bind_parameter(
            11,
            context.sealing_key.as_ref().map(|id| id.as_bytes().as_slice()),
        )?;
        row.raw_bind_parameter(12, place.leaf.0.as_slice())?;
        row.raw_bind_parameter(13, event.payload.as_slice())?;
        row.raw_execute().map(drop)
    }

    pub(crate) fn insert_batch(&mut self, batch: &BatchRow<'_>) -> Result<()> {
        self.insert_batch
            .execute((
                batch.last_position.cast_signed(),
                batch.number.cast_signed(),
                batch.first_position.cast_signed(),
                batch.committed_at.as_micros(),
                batch.writes,
                batch.root.0.as_slice(),
                batch.hash.0.as_slice(),
            ))
            .map(drop)
    }

    pub(crate) fn find_stream(&mut self, name: &str) -> Result<Option<StreamRow>> {
        let row = |row: &rusqlite::Row<'_>| {
            let head: [u8; 32] = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, Hash(head), Epoch(row.get(3)?)))
        };
        self.find_stream.query_row([name], row).optional()
    }

    pub(crate) fn insert_stream(&mut self, name: &str) -> Result<i64> {
        self.insert_stream.insert([name])
    }

    pub(crate) fn update_stream(&mut self, (id, version, head, owner): StreamRow) -> Result<()> {
        let values = (id, version.cast_signed(), head.0.as_slice(), owner.0.cast_signed());
        self.update_stream.execute(values).map(drop)
    }

    /// Records that the rows of `stream` hold up to this position.
    pub(crate) fn mark_heads(&mut self, position: u64) -> Result<()> {
        self.mark_heads.execute((HEADS_THROUGH, position.cast_signed())).map(drop)
    }

    pub(crate) fn type_id(&mut self, name: &str) -> Result<i64> {
        match self.find_type.query_row([name], |row| row.get(0)).optional()? {
            Some(id) => Ok(id),
            None => self.insert_type.insert([name]),
        }
    }

    pub(crate) fn context_id(&mut self, context: &ContextTexts) -> Result<i64> {
        let texts = (&*context.tenant, &*context.actor, &*context.content_type);
        match self.find_context.query_row(texts, |row| row.get(0)).optional()? {
            Some(id) => Ok(id),
            None => self.insert_context.insert(texts),
        }
    }

    /// The event with that version, if there is one.
    pub(crate) fn stored(&mut self, stream_id: i64, version: u64) -> Result<Option<StoredEvent>> {
        self.stored
            .query_row((stream_id, version.cast_signed()), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
    }
}
