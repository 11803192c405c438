//! A plugin's folder while it is made: beside its last place, hashed while it is written, renamed
//! when it is whole.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use flexcore_plugin_protocol::{ContentDigest, ContentListing, ContentPath, LISTING_FILE};
use rustix::{
    fs::{
        AtFlags, FlockOperation, Mode, OFlags, RenameFlags, fchmod, flock, mkdirat, openat,
        renameat_with, symlinkat, syncfs, unlinkat,
    },
    io::Errno,
};
use sha2::{Digest as _, Sha256};

use super::{FoundKind, digest, open_beneath, open_folder, open_through_links, scan};

/// What folders are called that are not finished.
const UNFINISHED: &str = ".new-";
/// Whoever makes or sweeps unfinished folders holds this file's lock.
const LOCK: &str = ".lock";

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A plugin's folder that is not finished. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Staging {
    /// Where finished plugins lie.
    parent: OwnedFd,
    parent_path: PathBuf,
    name: String,
    /// Holds the lock that tells others that somebody is at work.
    root: OwnedFd,
    digests: BTreeMap<ContentPath, ContentDigest>,
    folders: Vec<String>,
    links: Vec<ContentPath>,
    finished: bool,
}

/// Why something cannot be written into a folder.
#[derive(Debug)]
pub(crate) enum StagingError {
    /// What is to be read.
    Read(io::Error),
    /// The store.
    Write(io::Error),
    /// It has another length than was said.
    Length,
    /// The link leads to a folder, or to nothing.
    Link(ContentPath),
}

impl From<Errno> for StagingError {
    fn from(error: Errno) -> Self {
        Self::Write(error.into())
    }
}

impl From<io::Error> for StagingError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl Staging {
    /// Makes an unfinished folder in `parent`, and sweeps those that a crash left there.
    pub(crate) fn new(parent_path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(parent_path)?;
        let parent = open_folder(parent_path)?;
        let lock = lock(&parent)?;
        sweep(&parent, parent_path)?;
        let name = make_folder(&parent)?;
        let root = open_beneath(&parent, &name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        flock(&root, FlockOperation::NonBlockingLockExclusive)?;
        drop(lock);
        Ok(Self {
            parent,
            parent_path: parent_path.to_owned(),
            name,
            root,
            digests: BTreeMap::new(),
            folders: Vec::new(),
            links: Vec::new(),
            finished: false,
        })
    }

    /// Where it lies until it is finished.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent_path.join(&self.name)
    }

    /// Makes a folder and those above it.
    pub(crate) fn folder(&mut self, path: &str) -> io::Result<()> {
        for end in path.match_indices('/').map(|(at, _)| at).chain([path.len()]) {
            let one = &path[..end];
            let (parent, name) = self.parent_of(one)?;
            match mkdirat(&parent, name, Mode::RWXU) {
                Ok(()) => self.folders.push(one.to_owned()),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes a file of exactly `bytes` bytes and hashes what was written.
    pub(crate) fn file(
        &mut self,
        path: &ContentPath,
        reader: &mut dyn Read,
        bytes: u64,
        executable: bool,
    ) -> Result<(), StagingError> {
        let mut file = self.create(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut left = bytes;
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StagingError::Read(error)),
            };
            if length == 0 {
                break;
            }
            left = left.checked_sub(length as u64).ok_or(StagingError::Length)?;
            hash.update(&buffer[..length]);
            file.write_all(&buffer[..length])?;
        }
        if left > 0 {
            return Err(StagingError::Length);
        }
        let mode = if executable { 0o555 } else { 0o444 };
        fchmod(&file, Mode::from_raw_mode(mode))?;
        self.digests.insert(path.clone(), ContentDigest::from_bytes(hash.finalize().into()));
        Ok(())
    }

    /// Writes a file whose bytes are at hand.
    pub(crate) fn bytes(
        &mut self,
        path: &ContentPath,
        bytes: &[u8],
        executable: bool,
    ) -> Result<(), StagingError> {
        self.file(path, &mut &*bytes, bytes.len() as u64, executable)
    }

    /// Writes what an earlier file holds once more, under another name.
    pub(crate) fn copy(
        &mut self,
        path: &ContentPath,
        of: &ContentPath,
    ) -> Result<(), StagingError> {
        let mut earlier = super::open_file(&self.root, of)?;
        let data = earlier.metadata()?;
        let executable = std::os::unix::fs::MetadataExt::mode(&data) & 0o111 != 0;
        self.file(path, &mut earlier, data.len(), executable)
    }

    /// Makes a link. Whoever calls has made sure that it leads nowhere else.
    pub(crate) fn link(&mut self, path: &ContentPath, target: &[u8]) -> Result<(), StagingError> {
        self.folder_of(path)?;
        let (parent, name) = self.parent_of(path.as_str())?;
        symlinkat(super::os(target), &parent, name)?;
        self.links.push(path.clone());
        Ok(())
    }

    /// The text of a file that was written.
    pub(crate) fn text(&self, path: &ContentPath, limit: u64) -> io::Result<String> {
        super::read_text(&self.root, path, limit)
    }

    /// Whether a file was written.
    pub(crate) fn holds(&self, path: &ContentPath) -> bool {
        self.digests.contains_key(path) || self.links.contains(path)
    }

    /// Whether a path leads to a file that can be executed.
    pub(crate) fn is_executable(&self, path: &ContentPath) -> bool {
        let data = open_through_links(&self.root, path).and_then(|file| file.metadata());
        data.is_ok_and(|data| {
            data.is_file() && std::os::unix::fs::MetadataExt::mode(&data) & 0o111 != 0
        })
    }

    /// Every file with its digest but `except`; links count as what they lead to.
    pub(crate) fn listing(
        &self,
        except: Option<&ContentPath>,
    ) -> Result<ContentListing, StagingError> {
        let mut digests = self.digests.clone();
        for link in &self.links {
            let target = open_through_links(&self.root, link);
            let target =
                target.ok().filter(|file| file.metadata().is_ok_and(|data| data.is_file()));
            let target = target.ok_or_else(|| StagingError::Link(link.clone()))?;
            digests.insert(link.clone(), digest(target)?);
        }
        Ok(digests.into_iter().filter(|(path, _)| Some(path) != except).collect())
    }

    /// Writes the listing, makes everything read-only and durable, and moves the folder to its place.
    /// What lies there already is left alone if it `is_good`, and replaced otherwise.
    pub(crate) fn finish(
        mut self,
        listing: &ContentListing,
        is_good: impl FnOnce() -> bool,
    ) -> Result<PathBuf, StagingError> {
        if let Ok(path) = ContentPath::parse(LISTING_FILE)
            && !self.digests.contains_key(&path)
        {
            self.bytes(&path, listing.to_string().as_bytes(), false)?;
        }
        self.close_folders()?;
        syncfs(&self.root)?;
        let name = listing.digest().to_string();
        let path = self.parent_path.join(&name);
        match renameat_with(&self.parent, &*self.name, &self.parent, &*name, RenameFlags::NOREPLACE)
        {
            Ok(()) => self.finished = true,
            Err(Errno::EXIST) if is_good() => return Ok(path),
            // The damaged one takes the unfinished one's name, and goes with it.
            Err(Errno::EXIST) => {
                let swap = RenameFlags::EXCHANGE;
                renameat_with(&self.parent, &*self.name, &self.parent, &*name, swap)?;
            }
            Err(error) => return Err(error.into()),
        }
        rustix::fs::fsync(&self.parent)?;
        Ok(path)
    }

    fn close_folders(&self) -> io::Result<()> {
        let closed = Mode::from_raw_mode(0o555);
        for folder in &self.folders {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            fchmod(open_beneath(&self.root, folder, flags, Mode::empty())?, closed)?;
        }
        Ok(fchmod(&self.root, closed)?)
    }

    fn create(&mut self, path: &ContentPath) -> io::Result<File> {
        self.folder_of(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(open_beneath(&self.root, path.as_str(), flags, mode)?))
    }

    fn folder_of(&mut self, path: &ContentPath) -> io::Result<()> {
        match path.as_str().rsplit_once('/') {
            Some((folder, _)) => self.folder(folder),
            None => Ok(()),
        }
    }

    fn parent_of<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Ok((open_beneath(&self.root, folder, flags, Mode::empty())?, name))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is swept by whoever installs next.
            let _ = discard(&self.parent, &self.parent_path.join(&self.name), &self.name);
        }
    }
}

fn lock(parent: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = openat(parent, LOCK, flags, Mode::RUSR | Mode::WUSR)?;
    loop {
        match flock(&lock, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(|()| lock)?),
        }
    }
}

fn make_folder(parent: &OwnedFd) -> io::Result<String> {
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{UNFINISHED}{}-{number}", std::process::id());
        match mkdirat(parent, &*name, Mode::RWXU) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes unfinished folders at which nobody is at work any more.
fn sweep(parent: &OwnedFd, path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(UNFINISHED) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let Ok(folder) = open_beneath(parent, &name, flags, Mode::empty()) else { continue };
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            discard(parent, &path.join(&name), &name)?;
        }
    }
    Ok(())
}

/// Removes a folder of the store, which is read-only.
pub(crate) fn discard(parent: &OwnedFd, path: &Path, name: &str) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let root = match open_beneath(parent, name, flags, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        root => root?,
    };
    fchmod(&root, Mode::RWXU)?;
    let limits = flexcore_plugin_protocol::ArchiveLimits {
        entries: usize::MAX,
        file_bytes: u64::MAX,
        total_bytes: u64::MAX,
    };
    // Only the owner's own rights are missing; whatever else is there is the remover's business.
    for found in scan(&root, limits).unwrap_or_default() {
        if found.kind == FoundKind::Folder {
            let folder = open_beneath(&root, found.path.as_str(), flags, Mode::empty());
            let _ = folder.map(|folder| fchmod(folder, Mode::RWXU));
        }
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            // Gone already, or a link somebody put there: either way the name is to be free.
            let _ = unlinkat(parent.as_fd(), name, AtFlags::empty());
            Ok(())
        }
    }
}
