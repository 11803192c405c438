//! The private folder of one running plugin: where its socket and its temporary files lie.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::fs::{Mode, OFlags, open};

/// What go-plugin and others add to the folder for their sockets' names.
const SOCKET_NAME: usize = 24;
/// The longest path of a socket, without its end.
const SOCKET_PATH: usize = 107;

/// Tells the folders of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A private folder, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    handle: OwnedFd,
}

impl RunFolder {
    /// Makes a folder of nobody's but ours below `parent`.
    pub(crate) fn make(parent: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o711).create(parent)?;
        let parent = fs::canonicalize(parent)?;
        let name = || format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = loop {
            let path = parent.join(name());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                // Left behind by a process that had our id before.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        if path.as_os_str().len() + SOCKET_NAME > SOCKET_PATH {
            let _ = fs::remove_dir(&path);
            return Err(io::Error::other(format!(
                "{} is too long for sockets; choose a shorter run folder",
                path.display()
            )));
        }
        // The umask may have taken something away.
        fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        fs::create_dir(path.join("scratch"))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = open(&path, flags, Mode::empty())?;
        Ok(Self { path, handle })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the plugin keeps files of its own.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// The folder itself, whatever becomes of its path.
    pub(crate) fn handle(&self) -> &OwnedFd {
        &self.handle
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What cannot be removed now is nobody's who still runs; the next start sweeps it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_goes_with_its_owner() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::make(&parent.path().join("run")).unwrap();
        let path = folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("left"), "behind").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let long = parent.path().join("x".repeat(100));
        let error = RunFolder::make(&long).unwrap_err().to_string();
        assert!(error.contains("shorter"), "{error}");
        assert!(fs::read_dir(long).unwrap().next().is_none());
    }
}
