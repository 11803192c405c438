//! The schema of the event log.

use crate::connection::FileKind;

/// The key in `meta` of the last position that every row of `stream` takes into account.
pub(crate) const HEADS_THROUGH: &str = "heads_through";

/// The event log's file.
///
/// * `event` has a row per event and `batch` a row per commit; triggers refuse to change or remove
///   either. A batch is found by the position of its last event, so its key is that position.
/// * `event_type`, `context` and `stream` hold each repeated text once. Their ids never leave this
///   file: hashes cover the texts.
/// * `stream` also caches the end of each stream. The writer has the exact ends in memory and
///   writes them here now and then; `meta` says up to which position they hold. What follows is
///   read from `batch` when the store opens.
/// * `batch.writes` is described in `writes.rs`.
pub(crate) const LOG: FileKind = FileKind {
    name: "event log",
    application_id: i32::from_be_bytes(*b"FCel"),
    format: 1,
    synchronous: "FULL",
    schema: "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('heads_through', 0);
CREATE TABLE event_type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE context (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, actor TEXT NOT NULL,
  content_type TEXT NOT NULL, UNIQUE (tenant, actor, content_type)) STRICT;
CREATE TABLE stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL,
  head BLOB NOT NULL, owner_epoch INTEGER NOT NULL) STRICT;
CREATE TABLE event (position INTEGER PRIMARY KEY, stream_id INTEGER NOT NULL,
  version INTEGER NOT NULL, type_id INTEGER NOT NULL, schema_version INTEGER NOT NULL,
  context_id INTEGER NOT NULL, occurred_at INTEGER NOT NULL, id BLOB NOT NULL, correlation BLOB,
  causation BLOB, sealing_key BLOB, leaf BLOB NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX event_by_stream ON event (stream_id, version);
CREATE INDEX event_by_type ON event (type_id);
CREATE TABLE batch (last_position INTEGER PRIMARY KEY, number INTEGER NOT NULL,
  first_position INTEGER NOT NULL, committed_at INTEGER NOT NULL, writes BLOB NOT NULL,
  root BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TRIGGER event_is_final BEFORE UPDATE ON event BEGIN
  SELECT RAISE(ABORT, 'an event never changes'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event BEGIN
  SELECT RAISE(ABORT, 'an event is never removed'); END;
CREATE TRIGGER batch_is_final BEFORE UPDATE ON batch BEGIN
  SELECT RAISE(ABORT, 'a batch never changes'); END;
CREATE TRIGGER batch_is_kept BEFORE DELETE ON batch BEGIN
  SELECT RAISE(ABORT, 'a batch is never removed'); END",
};
