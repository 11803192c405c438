//! Private folders for config files, which may hold secrets: in memory, for this user alone, and
//! gone when their owner is.
//!
//! Each attempt has a folder `<base>/flexcore-<uid>/<attempt>-<pid>/`. While it is in use its owner
//! holds a lock (flock) on it, which the kernel releases with the process, however it ends. So
//! whatever can be locked was left behind and may be removed. A lock on the parent orders making and
//! sweeping. Nothing is removed that another user could have planted: the parent must be a folder of
//! our own that is closed to everybody else.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
    process::geteuid,
};

/// A tmpfs that every Linux system has.
const SHARED_MEMORY: &str = "/dev/shm";

/// Folders in memory where private folders may be made, best first.
pub(crate) fn candidates(runtime_folder: Option<PathBuf>) -> Vec<PathBuf> {
    let given = runtime_folder.filter(|folder| folder.is_absolute());
    given.into_iter().chain([PathBuf::from(SHARED_MEMORY)]).collect()
}

/// A folder for one attempt's files, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

/// The parent of private folders, while its lock is held.
struct Parent {
    path: PathBuf,
    _lock: File,
}

impl PrivateFolder {
    /// Makes one under `base`; `name` is distinct for every attempt of this machine.
    pub(crate) fn create(base: &Path, name: &str) -> io::Result<Self> {
        let parent = Parent::open(base)?;
        let path = parent.path.join(format!("{name}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = open_folder(&path)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(path)
    }

    /// Writes a file that only this user can read and write into one of its folders.
    pub(crate) fn write(&self, folder: &str, name: &str, content: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder(folder)?.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(content)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "a private folder stays behind");
        }
    }
}

/// Removes the folders under `base` whose owners are gone; returns how many there were.
pub(crate) fn sweep(base: &Path) -> io::Result<usize> {
    if !parent_path(base).exists() {
        return Ok(0);
    }
    let parent = Parent::open(base)?;
    let mut swept = 0;
    for entry in fs::read_dir(&parent.path)? {
        let path = entry?.path();
        let Ok(folder) = open_folder(&path) else { continue };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn parent_path(base: &Path) -> PathBuf {
    base.join(format!("flexcore-{}", geteuid().as_raw()))
}

impl Parent {
    fn open(base: &Path) -> io::Result<Self> {
        let path = parent_path(base);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let lock = open_folder(&path)?;
        let metadata = lock.metadata()?;
        if metadata.uid() != geteuid().as_raw() {
            return Err(io::Error::other(format!("{} belongs to another user", path.display())));
        }
        if metadata.mode() & 0o077 != 0 {
            lock.set_permissions(Permissions::from_mode(0o700))?;
        }
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Self { path, _lock: lock })
    }
}

/// Opens a folder, never through a symbolic link.
fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).map_err(|_| Errno::INVAL)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_private_and_go_with_their_owner() {
        let base = tempfile::tempdir().unwrap();
        let folder = PrivateFolder::create(base.path(), "a-1").unwrap();
        let file = folder.write("tap", "config.json", b"{}").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"{}");
        let parent = parent_path(base.path());
        assert_eq!([mode(&file), mode(&folder.path), mode(&parent)], [0o600, 0o700, 0o700]);
        drop(folder);
        assert_eq!(fs::read_dir(parent).unwrap().count(), 0);
    }

    #[test]
    fn a_sweep_takes_what_was_left_behind_and_nothing_that_is_held() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(sweep(base.path()).unwrap(), 0);
        let held = PrivateFolder::create(base.path(), "held").unwrap();
        let left = parent_path(base.path()).join("left-1");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("config.json"), "secret").unwrap();
        assert_eq!(sweep(base.path()).unwrap(), 1);
        assert!(!left.exists());
        assert!(held.path.exists());
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), parent_path(base.path())).unwrap();
        assert!(PrivateFolder::create(base.path(), "a").is_err());
    }

    #[test]
    fn an_open_parent_is_closed_first() {
        let base = tempfile::tempdir().unwrap();
        let parent = parent_path(base.path());
        fs::create_dir(&parent).unwrap();
        fs::set_permissions(&parent, Permissions::from_mode(0o777)).unwrap();
        let _folder = PrivateFolder::create(base.path(), "a").unwrap();
        assert_eq!(mode(&parent), 0o700);
    }
}
