//! `store.lock`: who may write the store.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::open_error::OpenError;

/// What a holder's purpose may take up in the lock file, in bytes.
const MAX_PURPOSE: usize = 512;

/// An exclusive lock on a folder, held until it is dropped or its process ends.
///
/// It is a `flock` of a file of its own: SQLite's locks on the database files are none of its
/// business (a folder whose events are in another store is locked in the same way), and the kernel lets go of it with the process. The file names the holder's process id
/// in its first line and what it does in its second, for the message of whoever is refused.
#[derive(Debug)]
pub struct StoreLock {
    file: Mutex<File>,
}

impl StoreLock {
    /// Takes the lock of a folder that exists, or says who has it.
    ///
    /// # Errors
    /// [`OpenError::Held`]; [`OpenError::Unavailable`] if the file cannot be made or locked.
    pub fn take(folder: &Path, purpose: &str) -> Result<Self, OpenError> {
        let path = lock_path(folder);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| OpenError::io(&path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(held(folder, file)),
            Err(error) => return Err(OpenError::io(&path, error)),
        }
        let lock = Self { file: Mutex::new(file) };
        lock.describe(purpose).map_err(|error| OpenError::io(&path, error))?;
        Ok(lock)
    }

    /// Replaces what the holder says that it does.
    pub(crate) fn describe(&self, purpose: &str) -> std::io::Result<()> {
        let line: String = purpose.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = line.floor_char_boundary(MAX_PURPOSE);
        let text = format!("{}\n{}\n", std::process::id(), &line[..end]);
        let mut file = self.file.lock().expect("no holder of the file panics");
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }

    /// Lets go of it, though others may still refer to it.
    pub fn release(&self) {
        let file = self.file.lock().expect("no holder of the file panics");
        // The process's end would do it as well.
        let _ = flock(&*file, FlockOperation::Unlock);
    }

    /// Refuses if a writer lives, without taking anything. For folders that cannot be written,
    /// where the lock file may be missing or closed to us.
    ///
    /// # Errors
    /// [`OpenError::Held`].
    pub fn check_free(folder: &Path) -> Result<(), OpenError> {
        let Ok(file) = File::open(lock_path(folder)) else { return Ok(()) };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => Err(held(folder, file)),
            _ => Ok(()),
        }
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("store.lock")
}

fn held(folder: &Path, file: File) -> OpenError {
    let mut text = String::new();
    // An unreadable description must not hide the refusal.
    let _ = file.take(4_096).read_to_string(&mut text);
    let mut lines = text.lines();
    OpenError::Held {
        folder: folder.to_owned(),
        pid: lines.next().and_then(|line| line.parse().ok()),
        purpose: lines.next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_has_it_and_gets_it_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let lock = StoreLock::take(folder.path(), "runs\npipeline flights").unwrap();
        let error = StoreLock::take(folder.path(), "late").unwrap_err();
        let text = error.to_string();
        let pid = std::process::id();
        assert!(text.contains(&format!("process {pid} (runs pipeline flights)")), "{text}");
        lock.describe("idle").unwrap();
        let error = StoreLock::check_free(folder.path()).unwrap_err();
        assert!(error.to_string().contains("(idle)"), "{error}");
        drop(lock);
        StoreLock::check_free(folder.path()).unwrap();
        StoreLock::take(folder.path(), "late").unwrap();
    }
}
