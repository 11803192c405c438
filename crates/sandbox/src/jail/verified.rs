//! Programs whose bytes were looked at before they run: what is swapped or written afterwards does not
//! start.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use flexcore_plugin_protocol::ContentDigest;
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

/// A file that had the right digest. While this is kept, no other file can be taken for it; whatever
/// is written to it shows in the time of its last change, which only the kernel sets.
#[derive(Debug)]
pub struct VerifiedFile {
    identity: FileIdentity,
    _kept: File,
}

/// Why a file is not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else, or a link.
    #[error("{} is not an ordinary file", .path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// It has another digest.
    #[error("{} is not the file that it was: its digest is {found}, not {expected}", .path.display())]
    Different {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: ContentDigest,
        /// What it is.
        found: ContentDigest,
    },
}

/// Which file a path led to, and in which state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    pub(crate) path: PathBuf,
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl VerifiedFile {
    /// Reads the file to its end. The path must be absolute and without links.
    ///
    /// # Errors
    /// It cannot be read, is no ordinary file, or has another digest.
    pub fn open(path: &Path, expected: &ContentDigest) -> Result<Self, VerifyError> {
        let unreadable = |source| VerifyError::Read { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut file = match options.open(path) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(VerifyError::NoFile { path: path.to_owned() });
            }
            opened => opened.map_err(unreadable)?,
        };
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(VerifyError::NoFile { path: path.to_owned() });
        }
        // Before the bytes are read: a change meanwhile is one afterwards.
        let status = rustix::fs::fstat(file.as_fd()).map_err(|error| unreadable(error.into()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        let found = ContentDigest::of(&bytes);
        if found != *expected {
            let (path, expected) = (path.to_owned(), *expected);
            return Err(VerifyError::Different { path, expected, found });
        }
        Ok(Self { identity: FileIdentity::of(path, &status), _kept: file })
    }

    /// Which file it is, for [`crate::JailSpec::verified`].
    pub const fn identity(&self) -> &FileIdentity {
        &self.identity
    }
}

impl FileIdentity {
    fn of(path: &Path, status: &Stat) -> Self {
        Self {
            path: path.to_owned(),
            device: status.st_dev,
            inode: status.st_ino,
            size: status.st_size,
            changed: (status.st_ctime, status.st_ctime_nsec),
        }
    }

    /// Whether an open file is this one, unchanged.
    pub(crate) fn is(&self, status: &Stat) -> bool {
        *self == Self::of(&self.path, status)
    }
}
