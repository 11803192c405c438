//! Opening a database file with the settings that the store stands on.

use std::{ffi::OsStr, fmt::Write as _, os::unix::ffi::OsStrExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::open_error::OpenError;

/// Bytes per page of the log and of views. Events of a few hundred bytes fill it well, and a
/// payload of up to about 2 KiB still lies in its row's page.
pub(crate) const PAGE_SIZE: u32 = 8_192;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write; the caller holds the store's lock.
    Write,
    /// Read beside a writer of any process.
    Read,
    /// Read a file that nobody can change, in a folder that cannot be written.
    Immutable,
}

/// What tells one kind of database file from another.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// What it is called in errors.
    pub(crate) name: &'static str,
    /// SQLite's `application_id`: four letters.
    pub(crate) application_id: i32,
    /// SQLite's `user_version`: the newest format that this program reads and writes.
    pub(crate) format: i32,
    /// The statements that create its schema.
    pub(crate) schema: &'static str,
    /// `FULL`: durable when a commit returns. `NORMAL`: never corrupt, but the last commits may be
    /// lost with the machine, for what can be rebuilt.
    pub(crate) synchronous: &'static str,
}

impl FileKind {
    /// Opens `path`, creates the schema in an empty file if `access` allows it, and refuses what
    /// is not a file of this kind and format.
    pub(crate) fn open(&self, path: &Path, access: Access) -> Result<Connection, OpenError> {
        let connection = self.connect(path, access).map_err(|e| OpenError::sqlite(path, &e))?;
        self.identify(&connection, path, access)?;
        Ok(connection)
    }

    /// A database in memory with this schema.
    pub(crate) fn in_memory(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(self.schema)?;
        Ok(connection)
    }

    fn connect(&self, path: &Path, access: Access) -> rusqlite::Result<Connection> {
        let base = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = match access {
            Access::Write => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                Connection::open_with_flags(path, base | flags)?
            }
            Access::Read => {
                Connection::open_with_flags(path, base | OpenFlags::SQLITE_OPEN_READ_ONLY)?
            }
            Access::Immutable => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(immutable_uri(path.as_os_str()), base | flags)?
            }
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        self.harden(&connection, access)?;
        Ok(connection)
    }

    fn harden(&self, connection: &Connection, access: Access) -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
        // Otherwise a statement may be compiled anew whenever its parameters change.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "mmap_size", 0)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // KiB when negative: 16 MiB for the writer, 4 MiB for each reader.
        let cache = if access == Access::Write { -16_384 } else { -4_096 };
        connection.pragma_update(None, "cache_size", cache)?;
        if access != Access::Write {
            // A reader never checkpoints: the writer is the only one that moves the WAL.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            return Ok(());
        }
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", self.synchronous)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        // Apple's fsync does not reach the platter without it; elsewhere it does nothing.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)
    }

    fn identify(
        &self,
        connection: &Connection,
        path: &Path,
        access: Access,
    ) -> Result<(), OpenError> {
        let failed = |error: rusqlite::Error| OpenError::sqlite(path, &error);
        let application_id = pragma(connection, "application_id").map_err(failed)?;
        let format = pragma(connection, "user_version").map_err(failed)?;
        let objects: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        if (application_id, format, objects) == (0, 0, 0) && access == Access::Write {
            return self.create(connection).map_err(failed);
        }
        if application_id != self.application_id {
            return Err(OpenError::NotAStore { file: path.to_owned(), kind: self.name });
        }
        match format {
            _ if format == self.format => Ok(()),
            _ if format > self.format => Err(OpenError::Newer {
                file: path.to_owned(),
                found: format,
                supported: self.format,
            }),
            _ => Err(OpenError::Corrupt {
                file: path.to_owned(),
                reason: format!("format version {format} was never written by any release"),
            }),
        }
    }

    fn create(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut script = String::from("BEGIN IMMEDIATE;\n");
        script.push_str(self.schema);
        // A text cannot be bound to these pragmas, and the numbers are our own.
        let _ = write!(
            script,
            ";\nPRAGMA application_id = {};\nPRAGMA user_version = {};\nCOMMIT;",
            self.application_id, self.format
        );
        connection.execute_batch(&script)
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// <https://sqlite.org/uri.html>: bytes that are not plain are percent-encoded.
fn immutable_uri(path: &OsStr) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_smuggle_parameters_into_the_uri() {
        let uri = immutable_uri(OsStr::new("/a b/x?mode=rw#y%.db"));
        assert_eq!(uri, "file:/a%20b/x%3Fmode%3Drw%23y%25.db?immutable=1");
    }
}
