//! The store's folder and the files in it.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::Access as Permission;

use crate::{connection::Access, lock::StoreLock, open_error::OpenError};

/// The name of the event log's file.
const LOG: &str = "log.db";

/// A store's folder, with an absolute path so that a later change of the working directory does
/// not matter.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder of an existing store, for reading.
    pub(crate) fn existing(path: &Path) -> Result<Self, OpenError> {
        let folder = Self::at(path)?;
        if folder.log().is_file() {
            Ok(folder)
        } else {
            Err(OpenError::Missing { folder: folder.path })
        }
    }

    /// The folder of a store that may have to be created: 0700, as everything a pipeline does can
    /// be read from it.
    pub(crate) fn create(path: &Path) -> Result<Self, OpenError> {
        let folder = Self::at(path)?;
        let created = DirBuilder::new().recursive(true).mode(0o700).create(&folder.path);
        created.map_err(|error| OpenError::io(&folder.path, error))?;
        Ok(folder)
    }

    fn at(path: &Path) -> Result<Self, OpenError> {
        let path = std::path::absolute(path).map_err(|error| OpenError::io(path, error))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// How a reader may open the log: beside a writer, or, where nothing can be written, as a file
    /// that nobody changes.
    pub(crate) fn read_access(&self) -> Result<Access, OpenError> {
        if rustix::fs::access(&self.path, Permission::WRITE_OK).is_ok() {
            return Ok(Access::Read);
        }
        StoreLock::check_free(&self.path)?;
        match std::fs::metadata(self.file("log.db-wal")) {
            Ok(wal) if wal.len() > 0 => Err(OpenError::NeedsCopy { folder: self.path.clone() }),
            _ => Ok(Access::Immutable),
        }
    }

    /// Creates an empty file that only its owner can read, unless it is there already. SQLite gives
    /// a database's companions the mode of the database.
    pub(crate) fn create_private(&self, name: &str) -> Result<PathBuf, OpenError> {
        let path = self.file(name);
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match opened {
            Ok(_) => self.sync().map_err(|error| OpenError::io(&path, error))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(OpenError::io(&path, error)),
        }
        Ok(path)
    }

    /// Makes the folder's entries durable: files created in it or renamed.
    pub(crate) fn sync(&self) -> std::io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
