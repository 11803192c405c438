//! The database file: its transactions and its marks.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};
use rustix::fs::{FlockOperation, flock};

use crate::{
    environment::{Environment, Owner},
    log,
    target::{
        error::SinkError,
        history::{History, Lengths, open_line, state_line},
        sink::StateHash,
    },
};

/// Marks of this many other executions are kept, the newest.
const KEPT_EXECUTIONS: u32 = 16;
/// Marks of this many STATEs of an execution are kept, the newest: far more than the engine can be
/// behind with committing them.
const KEPT_STATES: u32 = 1000;
/// SQLite waits this long for a lock at a time; in between we say that we wait.
const PATIENCE: Duration = Duration::from_secs(2);

const MARKS: &str = "
CREATE TABLE IF NOT EXISTS _flexcore_mark (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    execution TEXT NOT NULL,
    step TEXT NOT NULL,
    mark TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS _flexcore_mark_owner ON _flexcore_mark (execution, step, id);";

/// A database being written.
#[derive(Debug)]
pub(crate) struct Database {
    pub(super) connection: Connection,
    path: PathBuf,
    owner: Option<Owner>,
    wait: Duration,
    in_transaction: bool,
    /// Who waits for the database holds a lock on its folder, so that a writer that wants it again
    /// at once queues behind. Without it the one that commits would always be the first to begin.
    turnstile: File,
    /// What the tables were taken back to.
    marked: Lengths,
}

impl Database {
    /// Opens or makes the file; a resumed execution is taken back to its committed mark.
    pub(super) fn open(
        path: &Path,
        wait: Duration,
        environment: &Environment,
    ) -> Result<Self, SinkError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(SinkError::file("create", folder))?;
        }
        let located = |source| SinkError::Database { path: path.to_owned(), source };
        let folder = folder.unwrap_or(Path::new("."));
        let turnstile = File::open(folder).map_err(SinkError::file("open", folder))?;
        let connection = Connection::open(path).map_err(located)?;
        let mut database = Self {
            connection,
            path: path.to_owned(),
            owner: environment.owner(),
            wait,
            in_transaction: false,
            turnstile,
            marked: Lengths::new(),
        };
        database.in_turn(Self::configure)?;
        database.begin()?;
        if let Some(owner) = database.owner.clone() {
            database.connection.execute_batch(MARKS).map_err(located)?;
            database.go_back(&owner, environment.committed_state.as_deref())?;
        }
        database.commit(None, &Lengths::new())?;
        Ok(database)
    }

    fn configure(&self) -> Result<(), SinkError> {
        let connection = &self.connection;
        connection.set_prepared_statement_cache_capacity(256);
        let configured = connection
            .busy_timeout(PATIENCE.min(self.wait))
            // A writer that neither blocks readers nor is blocked by them, and commits that last.
            .and_then(|()| connection.pragma_update(None, "journal_mode", "WAL"))
            .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
            // Tables are rebuilt to widen a type; views of them must not stand in the way.
            .and_then(|()| connection.pragma_update(None, "legacy_alter_table", true))
            .and_then(|()| connection.pragma_update(None, "cache_size", -8192));
        match configured {
            Err(error) if is_busy(&error) => Err(SinkError::Locked(self.path.clone())),
            outcome => outcome.map_err(|error| self.located(error)),
        }
    }

    pub(super) fn located(&self, source: rusqlite::Error) -> SinkError {
        SinkError::Database { path: self.path.clone(), source }
    }

    /// Begins a transaction unless one is open, waiting for another process to end its own.
    #[inline]
    pub(super) fn begin(&mut self) -> Result<(), SinkError> {
        if self.in_transaction { Ok(()) } else { self.begin_anew() }
    }

    #[cold]
    fn begin_anew(&mut self) -> Result<(), SinkError> {
        self.in_turn(Self::wait_for_writer)?;
        self.in_transaction = true;
        Ok(())
    }

    /// Does something that needs the database alone, in the order in which processes asked for it.
    fn in_turn(&self, work: impl FnOnce(&Self) -> Result<(), SinkError>) -> Result<(), SinkError> {
        let queue = |operation| {
            flock(&self.turnstile, operation)
                .map_err(|error| SinkError::file("lock the folder of", &self.path)(error.into()))
        };
        queue(FlockOperation::LockExclusive)?;
        let outcome = work(self);
        queue(FlockOperation::Unlock)?;
        outcome
    }

    fn wait_for_writer(&self) -> Result<(), SinkError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.connection.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(()),
                Err(error) if is_busy(&error) => {
                    if waited >= self.wait {
                        return Err(SinkError::Locked(self.path.clone()));
                    }
                    if waited.is_zero() {
                        let path = self.path.display();
                        log::info(format_args!(
                            "waiting for another process that writes to {path}"
                        ));
                    }
                    waited += PATIENCE.min(self.wait);
                }
                Err(error) => return Err(self.located(error)),
            }
        }
    }

    /// Ends the transaction, with the mark of a STATE in it.
    pub(super) fn commit(
        &mut self,
        state: Option<&StateHash>,
        lengths: &Lengths,
    ) -> Result<(), SinkError> {
        if let (Some(owner), Some(state)) = (self.owner.clone(), state) {
            self.begin()?;
            self.insert_mark(&owner, &state_line(state, lengths))?;
            self.forget_old_states(&owner).map_err(|error| self.located(error))?;
        }
        if self.in_transaction {
            self.connection.execute_batch("COMMIT").map_err(|error| self.located(error))?;
            self.in_transaction = false;
        }
        Ok(())
    }

    pub(super) fn roll_back(&mut self) -> Result<(), SinkError> {
        // Some errors, a full disk among them, have rolled back already.
        if self.in_transaction && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").map_err(|error| self.located(error))?;
        }
        self.in_transaction = false;
        Ok(())
    }

    /// Row ids up to here are older than a mark that may be gone back to, even if those rows have
    /// been deleted since.
    pub(super) fn marked(&self, table: &str) -> u64 {
        self.marked.iter().find(|(name, _)| name == table).map_or(0, |(_, length)| *length)
    }

    /// Marks that this execution is going to append to a table.
    pub(super) fn mark_open(&self, table: &str, length: u64) -> Result<(), SinkError> {
        match &self.owner {
            Some(owner) => self.insert_mark(owner, &open_line(table, length)),
            None => Ok(()),
        }
    }

    fn insert_mark(&self, owner: &Owner, mark: &str) -> Result<(), SinkError> {
        self.connection
            .prepare_cached("INSERT INTO _flexcore_mark (execution, step, mark) VALUES (?, ?, ?)")
            .and_then(|mut insert| insert.execute(params![owner.execution, owner.step, mark]))
            .map(drop)
            .map_err(|error| self.located(error))
    }

    fn forget_old_states(&self, owner: &Owner) -> rusqlite::Result<()> {
        // Opens stay: they are few, and tell the lengths at the start.
        self.connection
            .prepare_cached(
                "DELETE FROM _flexcore_mark WHERE execution = ?1 AND step = ?2
                 AND mark LIKE '{\"mark\":\"state\"%' AND id <=
                 (SELECT max(id) FROM _flexcore_mark WHERE execution = ?1 AND step = ?2) - ?3",
            )?
            .execute(params![owner.execution, owner.step, KEPT_STATES])?;
        Ok(())
    }

    /// Takes the tables back to the mark of the committed STATE, or to the start.
    fn go_back(&mut self, owner: &Owner, committed: Option<&str>) -> Result<(), SinkError> {
        let marks = self.marks("execution = ?1 AND step = ?2", owner)?;
        let history = marks.into_iter().next().map(|(_, history)| history).unwrap_or_default();
        let (kept, lengths) = history.at(committed).ok_or_else(|| SinkError::NoMark {
            place: self.path.clone(),
            state: committed.unwrap_or_default().chars().take(12).collect(),
        })?;
        let others = self.marks("NOT (execution = ?1 AND step = ?2)", owner)?;
        for (table, length) in &lengths {
            let is_overwritten = others
                .iter()
                .any(|(_, other)| other.greatest(table).is_some_and(|seen| seen > *length));
            if is_overwritten {
                let place = format!("table {table} of {}", self.path.display());
                return Err(SinkError::Overwritten(PathBuf::from(place)));
            }
            self.delete_above(table, *length)?;
        }
        self.marked = lengths;
        self.rewrite_marks(owner, &kept).map_err(|error| self.located(error))
    }

    /// Histories by owner; the condition has the owner as its parameters.
    fn marks(&self, condition: &str, owner: &Owner) -> Result<Vec<(Owner, History)>, SinkError> {
        let sql = format!(
            "SELECT execution, step, mark FROM _flexcore_mark WHERE {condition} ORDER BY id"
        );
        let read = |row: &Row<'_>| {
            let owner = Owner { execution: row.get(0)?, step: row.get(1)? };
            Ok((owner, row.get::<_, String>(2)?))
        };
        let rows: Vec<(Owner, String)> = self
            .connection
            .prepare(&sql)
            .and_then(|mut select| {
                select.query_map(params![owner.execution, owner.step], read)?.collect()
            })
            .map_err(|error| self.located(error))?;
        let mut texts: Vec<(Owner, String)> = Vec::new();
        for (owner, mark) in rows {
            match texts.iter_mut().find(|(known, _)| *known == owner) {
                Some((_, text)) => text.push_str(&mark),
                None => texts.push((owner, mark)),
            }
        }
        texts
            .into_iter()
            .map(|(owner, text)| match History::parse(&text) {
                Ok(history) => Ok((owner, history)),
                Err(line) => Err(SinkError::BadMarks { path: self.path.clone(), line }),
            })
            .collect()
    }

    fn delete_above(&self, table: &str, length: u64) -> Result<(), SinkError> {
        let found: Option<String> = self
            .connection
            .query_row(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
                [table],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| self.located(error))?;
        if found.is_none() {
            if length == 0 {
                return Ok(());
            }
            let place = PathBuf::from(format!("table {table} of {}", self.path.display()));
            return Err(SinkError::Shorter { path: place, length: 0, marked: length });
        }
        let columns = super::table::existing_columns(&self.connection, table)
            .map_err(|error| self.located(error))?;
        let sql = format!(
            "DELETE FROM {} WHERE {} > ?",
            super::table::quoted(table),
            super::table::row_id(&columns)
        );
        let deleted = self
            .connection
            .execute(&sql, [i64::try_from(length).unwrap_or(i64::MAX)])
            .map_err(|error| self.located(error))?;
        if deleted > 0 {
            log::info(format_args!(
                "table {table}: took back {deleted} rows behind the committed position"
            ));
        }
        Ok(())
    }

    fn rewrite_marks(&self, owner: &Owner, kept: &History) -> rusqlite::Result<()> {
        self.connection.execute(
            "DELETE FROM _flexcore_mark WHERE execution = ? AND step = ?",
            params![owner.execution, owner.step],
        )?;
        let opened = kept.opened.iter().map(|(table, length)| open_line(table, *length));
        let states = kept.states.iter().map(|(hash, lengths)| state_line(hash, lengths));
        let mut insert = self
            .connection
            .prepare("INSERT INTO _flexcore_mark (execution, step, mark) VALUES (?, ?, ?)")?;
        insert.execute(params![owner.execution, owner.step, "{\"mark\":\"start\"}\n"])?;
        for mark in opened.chain(states) {
            insert.execute(params![owner.execution, owner.step, mark])?;
        }
        self.connection.execute(
            "DELETE FROM _flexcore_mark WHERE execution NOT IN (
                 SELECT execution FROM _flexcore_mark GROUP BY execution
                 ORDER BY max(id) DESC LIMIT ?)",
            [KEPT_EXECUTIONS + 1],
        )?;
        Ok(())
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}
