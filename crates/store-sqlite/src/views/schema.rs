//! The schema of a views file.

use crate::connection::FileKind;

/// A views file: rows that projections fold out of the log, and snapshots. All of it can be built
/// again from the log, so it is never migrated: a file of another format is replaced.
///
/// `pipeline.search` is name and description in lower case, as Unicode has it. `checkpoint.seal`
/// and `snapshot.seal` tell a damaged row from one that another log led to. A checkpoint at
/// position 0 has folded nothing in. A note whose projection is empty is the store's own. Each
/// index of executions serves one kind of list of a tenant in its order, so that no list is sorted
/// and none looks at another tenant's rows; the small one of unfinished executions is for whoever
/// drives them.
pub(crate) const VIEWS: FileKind = FileKind {
    name: "views file",
    application_id: i32::from_be_bytes(*b"FCvw"),
    format: 3,
    synchronous: "NORMAL",
    schema: "
CREATE TABLE checkpoint (projection TEXT PRIMARY KEY, position INTEGER NOT NULL,
  hash BLOB NOT NULL, epoch INTEGER NOT NULL, seal BLOB NOT NULL,
  stopped_position INTEGER, stopped_reason TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE note (projection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (projection, key)) STRICT, WITHOUT ROWID;
CREATE TABLE snapshot (stream TEXT PRIMARY KEY, version INTEGER NOT NULL,
  schema_version INTEGER NOT NULL, position INTEGER NOT NULL, batch_hash BLOB NOT NULL,
  seal BLOB NOT NULL, payload BLOB NOT NULL) STRICT;
CREATE TABLE pipeline (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
  version INTEGER NOT NULL, description TEXT, owner TEXT, tags TEXT NOT NULL,
  steps INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  search TEXT NOT NULL) STRICT;
CREATE INDEX pipeline_by_name ON pipeline (tenant, name, id);
CREATE TABLE execution (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, pipeline_id BLOB NOT NULL,
  pipeline TEXT NOT NULL,
  version INTEGER NOT NULL, status TEXT NOT NULL, environment TEXT NOT NULL, run_key TEXT,
  created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, error TEXT) STRICT;
CREATE INDEX execution_by_time ON execution (tenant, created_at, id);
CREATE INDEX execution_by_pipeline ON execution (tenant, pipeline, created_at, id);
CREATE INDEX execution_by_status ON execution (tenant, status, created_at, id);
CREATE INDEX execution_by_pipeline_status
  ON execution (tenant, pipeline, status, created_at, id);
CREATE INDEX execution_by_run_key ON execution (tenant, run_key, created_at, id)
  WHERE run_key IS NOT NULL;
CREATE INDEX execution_unfinished ON execution (created_at, id)
  WHERE status IN ('queued', 'running');
CREATE TABLE plugin (tenant TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, pipelines INTEGER NOT NULL,
  attempts INTEGER NOT NULL, failures INTEGER NOT NULL, last_used_at INTEGER,
  last_failed_at INTEGER, last_error TEXT, PRIMARY KEY (tenant, name, role)) STRICT, WITHOUT ROWID;
CREATE TABLE data_stream (stream TEXT PRIMARY KEY, tenant TEXT NOT NULL, environment TEXT NOT NULL,
  pipeline_id BLOB NOT NULL, pipeline TEXT NOT NULL, state TEXT NOT NULL, item TEXT, tap TEXT,
  target TEXT, holder BLOB, bookmark_streams TEXT, bookmark_positions INTEGER,
  bookmark_at INTEGER, bookmark_execution BLOB, syncs INTEGER NOT NULL,
  records INTEGER NOT NULL, bytes INTEGER NOT NULL, schemas TEXT NOT NULL, sync_execution BLOB,
  sync_outcome TEXT, sync_started_at INTEGER, sync_ended_at INTEGER, sync_records INTEGER,
  sync_bytes INTEGER) STRICT;
CREATE INDEX data_stream_by_pipeline ON data_stream (tenant, pipeline, stream);
CREATE INDEX data_stream_by_environment
  ON data_stream (tenant, environment, pipeline, stream);
CREATE TABLE metric (name TEXT NOT NULL, labels TEXT NOT NULL, value INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, PRIMARY KEY (name, labels)) STRICT, WITHOUT ROWID",
};
