//! A store's folder, looked at from outside.

use std::path::{Path, PathBuf};

use crate::{OpenError, folder::Folder, lock::StoreLock, log::LOG};

/// What holds of a store's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderStatus {
    /// The folder, as an absolute path.
    pub folder: PathBuf,
    /// The files of the store and their sizes in bytes, by name.
    pub files: Vec<(String, u64)>,
    /// The format of the log.
    pub format: u32,
    /// The newest format that this program knows.
    pub newest_format: u32,
    /// SQLite's journal mode of the log, `wal` as this program makes it; unknown for a newer format.
    pub journal_mode: Option<String>,
    /// The process that writes the store now, if there is one: its id, if it could be told, and what
    /// it says that it does.
    pub holder: Option<(Option<u32>, String)>,
}

/// Looks at a store without opening it; also at one of a newer format.
///
/// # Errors
/// [`OpenError`] if there is none, or its log is none.
pub fn status(folder: &Path) -> Result<FolderStatus, OpenError> {
    let folder = Folder::existing(folder)?;
    let (format, journal_mode) = look_into(&folder)?;
    let holder = match StoreLock::check_free(folder.path()) {
        Err(OpenError::Held { pid, purpose, .. }) => Some((pid, purpose)),
        _ => None,
    };
    Ok(FolderStatus {
        files: files(folder.path())?,
        format,
        newest_format: LOG.format.cast_unsigned(),
        journal_mode,
        holder,
        folder: folder.path().to_owned(),
    })
}

/// The format of the log, and how its journal is kept, if the file can be opened.
fn look_into(folder: &Folder) -> Result<(u32, Option<String>), OpenError> {
    let path = folder.log();
    let connection = match LOG.open(&path, folder.read_access()?) {
        Ok(connection) => connection,
        Err(OpenError::Newer { found, .. }) => return Ok((found.cast_unsigned(), None)),
        Err(error) => return Err(error),
    };
    let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
    Ok((LOG.format.cast_unsigned(), Some(mode.map_err(|e| OpenError::sqlite(&path, &e))?)))
}

fn files(folder: &Path) -> Result<Vec<(String, u64)>, OpenError> {
    let failed = |error| OpenError::io(folder, error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let ours = name.starts_with("log.db") || name.starts_with("views");
        // A file that is gone by now is none.
        if let (true, Ok(metadata)) = (ours, entry.metadata()) {
            files.push((name, metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
