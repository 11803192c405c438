//! Folders as they are on disk, reached through one descriptor so that nothing leads out of them.

mod scan;
mod staging;

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use flexcore_plugin_protocol::{ContentDigest, ContentPath};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat, openat2},
    io::Errno,
};
use sha2::{Digest as _, Sha256};

pub(crate) use scan::{Found, FoundKind, ScanError, scan};
pub(crate) use staging::{Staging, StagingError, discard};

/// How often a path is looked up again because something moved meanwhile.
const LOOKUPS: usize = 16;

/// Opens a folder by its path, links followed: where to look is the caller's word.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens what lies at a path below a folder, through no link and to nowhere else.
pub(crate) fn open_beneath(
    root: impl AsFd,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for _ in 0..LOOKUPS {
        match openat2(&root, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Kernels before 5.6, and filters that do not know the call.
            Err(Errno::NOSYS) => return Ok(open_step_by_step(root.as_fd(), path, flags, mode)?),
            result => return Ok(result?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// The same without `openat2`: one part of the path after the other, none of them a link.
fn open_step_by_step(
    root: rustix::fd::BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let folder_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at = openat(root, ".", folder_flags, Mode::empty())?;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        at = openat(&at, part, folder_flags, Mode::empty())?;
    }
    openat(&at, name, flags, mode)
}

/// Opens a regular file below a folder to read it.
pub(crate) fn open_file(root: impl AsFd, path: &ContentPath) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let file = File::from(open_beneath(root, path.as_str(), flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file any more"))
    }
}

/// Opens the file that a path or a link leads to, which is nowhere but below the folder.
pub(crate) fn open_through_links(root: impl AsFd, path: &ContentPath) -> io::Result<File> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match openat2(&root, path.as_str(), flags, Mode::empty(), resolve) {
        // What is admitted leads nowhere else; the folder is ours alone.
        Err(Errno::NOSYS) => openat(&root, path.as_str(), flags, Mode::empty())?,
        result => result?,
    };
    Ok(File::from(opened))
}

/// Reads a small file below a folder as text.
pub(crate) fn read_text(root: impl AsFd, path: &ContentPath, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    open_file(root, path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// The digest of all that can be read.
pub(crate) fn digest(mut reader: impl Read) -> io::Result<ContentDigest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(ContentDigest::from_bytes(hash.finalize().into())),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A name as bytes of a path.
pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
