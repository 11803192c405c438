//! The launcher's lock: held for as long as a launcher or an attempt of it may be alive.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// The time between two looks at a lock that somebody else holds: far below what a person notices,
/// and above what ending a process tree takes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Why the launcher's lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LauncherLockError {
    /// Another launcher holds it and did not go away in time.
    #[error(
        "the launcher of another run is still ending its processes ({holder} holds {path}); wait for it, or end that process"
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The holder, as far as the file says.
        holder: String,
    },
    /// The file cannot be made, opened or locked.
    #[error("cannot lock {path}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Waits until no launcher holds the lock: from then on no process of an earlier run that used
/// this lock is alive, in so far as its tier can promise (see [`crate::Isolation`]). A lock file
/// that does not exist is free.
///
/// # Errors
/// [`LauncherLockError::Held`] after `patience`; [`LauncherLockError::Io`].
pub async fn wait_for_launcher(path: &Path, patience: Duration) -> Result<(), LauncherLockError> {
    if path.exists() { acquire(path, patience).await.map(drop) } else { Ok(()) }
}

/// Takes the lock, waiting for at most `patience`.
pub(crate) async fn acquire(path: &Path, patience: Duration) -> Result<File, LauncherLockError> {
    let failed = |source| LauncherLockError::Io { path: path.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(Errno::WOULDBLOCK) => {
                let holder = read_holder(&mut file);
                return Err(LauncherLockError::Held { path: path.to_owned(), holder });
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
}

/// Notes in the file who holds the lock. It is only read to tell people, so a full disk does not
/// matter.
pub(crate) fn note_holder(file: &mut File, pid: u32) {
    let _ = file.set_len(0);
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| writeln!(file, "{pid}"));
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_lock_names_its_holder_and_is_free_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("launcher.lock");
        let mut held = acquire(&path, Duration::ZERO).await.unwrap();
        note_holder(&mut held, 4711);

        let error = wait_for_launcher(&path, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains("process 4711 holds"), "{error}");

        drop(held);
        wait_for_launcher(&path, Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_that_was_never_made_is_free_and_stays_unmade() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("launcher.lock");
        wait_for_launcher(&path, Duration::ZERO).await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_lock_in_a_folder_that_does_not_exist_is_a_located_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing/launcher.lock");
        let error = acquire(&path, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().ends_with("missing/launcher.lock"), "{error}");
    }
}
