//! The schema of a views file.

use crate::connection::FileKind;

/// A views file: rows that projections fold out of the log, and snapshots. All of it can be built
/// again from the log, so it is never migrated: a file of another format is replaced.
///
/// `pipeline.search` is name and description in lower case, as Unicode has it. `checkpoint.seal`
/// and `snapshot.seal` tell a damaged row from one that another log led to.
pub(crate) const VIEWS: FileKind = FileKind {
    name: "views file",
    application_id: i32::from_be_bytes(*b"FCvw"),
    format: 1,
    synchronous: "NORMAL",
    schema: "
CREATE TABLE checkpoint (projection TEXT PRIMARY KEY, position INTEGER NOT NULL,
  hash BLOB NOT NULL, seal BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE snapshot (stream TEXT PRIMARY KEY, version INTEGER NOT NULL,
  schema_version INTEGER NOT NULL, position INTEGER NOT NULL, batch_hash BLOB NOT NULL,
  seal BLOB NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE TABLE pipeline (id BLOB PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL,
  version INTEGER NOT NULL, description TEXT, owner TEXT, tags TEXT NOT NULL,
  steps INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  search TEXT NOT NULL) STRICT;
CREATE INDEX pipeline_by_name ON pipeline (name, id);
CREATE TABLE execution (id BLOB PRIMARY KEY, pipeline_id BLOB NOT NULL, pipeline TEXT NOT NULL,
  version INTEGER NOT NULL, status TEXT NOT NULL, environment TEXT NOT NULL, run_key TEXT,
  created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, error TEXT) STRICT;
CREATE INDEX execution_by_time ON execution (created_at, id);
CREATE INDEX execution_by_pipeline ON execution (pipeline, created_at, id);
CREATE INDEX execution_by_status ON execution (status, created_at, id);
CREATE INDEX execution_by_run_key ON execution (run_key, created_at, id)
  WHERE run_key IS NOT NULL",
};
