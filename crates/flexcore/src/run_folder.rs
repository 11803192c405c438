//! A private folder with a short path for what lives no longer than this process: a socket's path
//! has about a hundred bytes.
//!
//! While it is in use its owner holds a lock on it, which the kernel releases with the process,
//! however it ends: what can be locked was left behind by one that was killed. Whoever makes the
//! next folder removes it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use flexcore_ports::Ids as _;
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, mkdir},
    process::geteuid,
};

use crate::clock::RandomIds;

/// What its name begins with; twelve hexadecimal digits follow.
const PREFIX: &str = "flexcore-";
const DIGITS: usize = 12;

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Makes one, and removes those of processes that are gone.
    pub(crate) fn make(environment: &BTreeMap<String, String>) -> io::Result<Self> {
        let named = environment.get("XDG_RUNTIME_DIR").filter(|folder| is_short_folder(folder));
        let base = Path::new(named.map_or("/tmp", String::as_str));
        for left in sweep(base) {
            tracing::info!(folder = %left.display(), "removed what a process left that was killed");
        }
        let id = RandomIds.next().simple().to_string();
        // The end of an id is chance; its beginning is the time.
        let name = format!("{PREFIX}{}", &id[id.len() - DIGITS..]);
        let unlocked = base.join(format!(".{name}"));
        mkdir(&unlocked, Mode::RWXU)?;
        let lock = open(&unlocked)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        // Nobody sweeps what has this name before it is locked.
        let path = base.join(name);
        fs::rename(&unlocked, &path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(folder = %self.path.display(), %error, "a run folder is left behind");
        }
    }
}

fn is_short_folder(path: &String) -> bool {
    path.starts_with('/') && path.len() <= 30 && Path::new(path).is_dir()
}

fn open(folder: &Path) -> io::Result<File> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    fs::OpenOptions::new().read(true).custom_flags(flags).open(folder)
}

/// Removes the folders of this user that nobody holds; what they were.
fn sweep(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        digits.is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    });
    let left = ours.map(|entry| entry.path()).filter(|path| {
        let Ok(folder) = open(path) else { return false };
        let is_mine = folder.metadata().is_ok_and(|one| one.uid() == geteuid().as_raw());
        let is_free = || flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok();
        is_mine && is_free() && fs::remove_dir_all(path).is_ok()
    });
    left.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(base: &Path) -> BTreeMap<String, String> {
        [("XDG_RUNTIME_DIR".to_owned(), base.display().to_string())].into()
    }

    #[test]
    fn what_nobody_holds_is_removed_and_what_somebody_holds_is_left() {
        let base = tempfile::Builder::new().prefix("rf").tempdir_in("/tmp").unwrap();
        let environment = environment(base.path());
        let held = RunFolder::make(&environment).unwrap();
        let left = base.path().join("flexcore-0123456789ab");
        fs::create_dir_all(left.join("plugins/socket")).unwrap();
        let other = base.path().join("flexcore-notours");
        fs::create_dir(&other).unwrap();
        let next = RunFolder::make(&environment).unwrap();
        assert!(held.path().is_dir() && next.path().is_dir() && other.is_dir());
        assert!(!left.exists());
        let gone = held.path().to_owned();
        drop(held);
        assert!(!gone.exists());
    }
}
