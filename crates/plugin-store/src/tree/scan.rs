//! What a folder holds, looked at once and without following anything.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use flexcore_plugin_protocol::{
    ArchiveCheck, ArchiveEntry, ArchiveLimits, ArchiveRefusal, ContentPath, EntryKind,
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, readlinkat, statat};

use super::{open_beneath, os};

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: ContentPath,
    pub(crate) kind: FoundKind,
    pub(crate) stamp: Stamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FoundKind {
    File { bytes: u64, executable: bool },
    Folder,
    Link { target: Vec<u8> },
}

/// What changes when a file is written, replaced or given another mode. The time of the last change
/// of the inode cannot be set back without setting the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    mode: u32,
    bytes: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanoseconds = |value: u64| i64::try_from(value).unwrap_or_default();
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            mode: stat.st_mode,
            bytes: stat.st_size,
            modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
        }
    }
}

/// Why a folder cannot be a plugin's.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io { path: String, error: io::Error },
    Refused(ArchiveRefusal),
}

impl From<ArchiveRefusal> for ScanError {
    fn from(refusal: ArchiveRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Everything below a folder, sorted by path. It may hold what an archive may, and not more.
pub(crate) fn scan(root: &OwnedFd, limits: ArchiveLimits) -> Result<Vec<Found>, ScanError> {
    let mut check = ArchiveCheck::new(limits);
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for name in names(root, &folder).map_err(|error| io_error(&folder, error))? {
            let path =
                if folder.is_empty() { name } else { [folder.as_bytes(), b"/", &name].concat() };
            let one = look(root, &path, &mut check)?;
            if one.kind == FoundKind::Folder {
                folders.push(one.path.to_string());
            }
            found.push(one);
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn names(root: &OwnedFd, folder: &str) -> io::Result<Vec<Vec<u8>>> {
    let path = if folder.is_empty() { "." } else { folder };
    let opened = open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn look(root: &OwnedFd, path: &[u8], check: &mut ArchiveCheck) -> Result<Found, ScanError> {
    let shown = String::from_utf8_lossy(path).into_owned();
    let failed = |error: rustix::io::Errno| io_error(&shown, error.into());
    let stat = statat(root.as_fd(), os(path), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    let file_type = FileType::from_raw_mode(stat.st_mode);
    let target = match file_type {
        FileType::Symlink => readlinkat(root.as_fd(), os(path), Vec::new()).map_err(failed)?,
        _ => std::ffi::CString::default(),
    };
    let bytes = u64::try_from(stat.st_size).unwrap_or_default();
    // Links have no bits of their own; those of folders are given anew.
    let mode = if file_type == FileType::RegularFile { stat.st_mode & 0o7777 } else { 0 };
    let (kind, seen) = match file_type {
        FileType::RegularFile => {
            (EntryKind::File, FoundKind::File { bytes, executable: mode & 0o111 != 0 })
        }
        FileType::Directory => (EntryKind::Folder, FoundKind::Folder),
        FileType::Symlink => {
            let target = target.to_bytes();
            (EntryKind::SymbolicLink { target }, FoundKind::Link { target: target.to_vec() })
        }
        _ => (EntryKind::Special, FoundKind::Folder),
    };
    let Some(path) = check.admit(&ArchiveEntry { path, kind, mode, bytes })? else {
        // Only the folder itself is admitted without a path, and no name is `.`.
        return Err(io_error(&shown, io::Error::other("it is the folder itself")));
    };
    Ok(Found { path, kind: seen, stamp: Stamp::of(&stat) })
}

fn io_error(path: &str, error: io::Error) -> ScanError {
    ScanError::Io { path: path.to_owned(), error }
}
