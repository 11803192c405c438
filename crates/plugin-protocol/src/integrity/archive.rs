//! What an archive may hold before anything of it is unpacked.
//!
//! The rules are chosen so that unpacking entry by entry can never leave the folder, whatever the
//! order: no entry lies below a link, and a link's target goes up at most to the folder and never
//! up again after it went down, so that a link through another link cannot climb.

use std::collections::BTreeMap;

use super::path::{ContentPath, InvalidContentPath};

/// What an archive may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Files, folders and links together.
    pub entries: usize,
    /// Bytes of one file, unpacked.
    pub file_bytes: u64,
    /// Bytes of all files together, unpacked.
    pub total_bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 100_000, file_bytes: 1 << 30, total_bytes: 4 << 30 }
    }
}

/// An entry as an archive describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveEntry<'a> {
    /// Its path, as bytes because archives do not promise text. A folder's may end with `/`.
    pub path: &'a [u8],
    /// What it is.
    pub kind: EntryKind<'a>,
    /// Its permission bits.
    pub mode: u32,
    /// Its size as the archive says it; whoever unpacks holds the bytes against it.
    pub bytes: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    SymbolicLink {
        /// Where it points, relative to its own folder.
        target: &'a [u8],
    },
    /// Another name of a file of the archive.
    HardLink {
        /// The path of that file in the archive.
        target: &'a [u8],
    },
    /// A device, a pipe, a socket or anything else.
    Special,
}

/// Why an archive is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveRefusal {
    /// A path that leads elsewhere.
    #[error("`{path}`: {problem}")]
    Path {
        /// The path, as far as it is text.
        path: String,
        /// What is wrong with it.
        problem: InvalidContentPath,
    },
    /// A link that leads out of the plugin's folder.
    #[error("`{path}` links to `{target}`, which may lie outside of the plugin")]
    LinkOut {
        /// The link.
        path: String,
        /// Its target, as far as it is text.
        target: String,
    },
    /// A hard link to something that is no file of the archive.
    #[error("`{path}` is another name of `{target}`, which is no earlier file of the archive")]
    LinkTarget {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
    /// A device, pipe or socket.
    #[error("`{path}` is neither file, folder nor link")]
    Special {
        /// The entry.
        path: String,
    },
    /// setuid, setgid or sticky.
    #[error("`{path}` has the mode {mode:o}; setuid, setgid and sticky bits are refused")]
    Mode {
        /// The entry.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The same path again, or a path below something that is no folder.
    #[error("`{path}` is there twice, or below something that is no folder")]
    Clash {
        /// The entry.
        path: String,
    },
    /// Too many entries.
    #[error("the archive has more than {limit} entries")]
    Entries {
        /// How many it may have.
        limit: usize,
    },
    /// A file that is too large.
    #[error("`{path}` has {bytes} bytes, more than the {limit} of one file")]
    FileBytes {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// All files together are too large.
    #[error("the archive has more than {limit} bytes when unpacked")]
    TotalBytes {
        /// The largest sum.
        limit: u64,
    },
}

impl ArchiveRefusal {
    /// Its stable code; the page is in `docs/errors`.
    pub const CODE: &str = "FC0609";
}

/// What an admitted path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    File,
    Folder,
    Link,
}

/// Looks at the entries of one archive, one after the other.
#[derive(Debug, Clone, Default)]
pub struct ArchiveCheck {
    limits: ArchiveLimits,
    seen: BTreeMap<String, Seen>,
    entries: usize,
    bytes: u64,
}

impl ArchiveCheck {
    /// A check with limits.
    pub fn new(limits: ArchiveLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether an entry may be unpacked, and where to; nowhere for the plugin's folder itself,
    /// with which many archives begin. After a refusal the archive as a whole is refused.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn admit(
        &mut self,
        entry: &ArchiveEntry<'_>,
    ) -> Result<Option<ContentPath>, ArchiveRefusal> {
        let shown = || lossy(entry.path);
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveRefusal::Entries { limit: self.limits.entries });
        }
        if entry.kind == EntryKind::Folder && matches!(entry.path, b"." | b"./") {
            return Ok(None);
        }
        let path = inner_path(entry.path, entry.kind == EntryKind::Folder)
            .map_err(|problem| ArchiveRefusal::Path { path: shown(), problem })?;
        if entry.mode & 0o7000 != 0 {
            return Err(ArchiveRefusal::Mode { path: shown(), mode: entry.mode & 0o7777 });
        }
        let seen = self.look(&path, entry)?;
        self.place(&path, seen)?;
        Ok(Some(path))
    }

    /// What kind of thing it is, if it is a legal one.
    fn look(
        &mut self,
        path: &ContentPath,
        entry: &ArchiveEntry<'_>,
    ) -> Result<Seen, ArchiveRefusal> {
        match entry.kind {
            EntryKind::File => self.weigh(path, entry.bytes).map(|()| Seen::File),
            EntryKind::Folder => Ok(Seen::Folder),
            EntryKind::SymbolicLink { target } if stays_inside(path, target) => Ok(Seen::Link),
            EntryKind::SymbolicLink { target } => {
                Err(ArchiveRefusal::LinkOut { path: path.to_string(), target: lossy(target) })
            }
            EntryKind::HardLink { target } => {
                let known = std::str::from_utf8(target).ok().and_then(|path| self.seen.get(path));
                let refusal =
                    || ArchiveRefusal::LinkTarget { path: path.to_string(), target: lossy(target) };
                known.filter(|seen| **seen == Seen::File).copied().ok_or_else(refusal)
            }
            EntryKind::Special => Err(ArchiveRefusal::Special { path: path.to_string() }),
        }
    }

    fn weigh(&mut self, path: &ContentPath, bytes: u64) -> Result<(), ArchiveRefusal> {
        let limit = self.limits.file_bytes;
        if bytes > limit {
            return Err(ArchiveRefusal::FileBytes { path: path.to_string(), bytes, limit });
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limits.total_bytes {
            return Err(ArchiveRefusal::TotalBytes { limit: self.limits.total_bytes });
        }
        Ok(())
    }

    /// Notes the path and the folders above it; only a folder may be there already.
    fn place(&mut self, path: &ContentPath, seen: Seen) -> Result<(), ArchiveRefusal> {
        let clash = || ArchiveRefusal::Clash { path: path.to_string() };
        for folder in path.folders() {
            if *self.seen.entry(folder.to_owned()).or_insert(Seen::Folder) != Seen::Folder {
                return Err(clash());
            }
        }
        match self.seen.insert(path.as_str().to_owned(), seen) {
            None => Ok(()),
            Some(Seen::Folder) if seen == Seen::Folder => Ok(()),
            Some(_) => Err(clash()),
        }
    }
}

/// The path of an entry; `./` in front and, for a folder, `/` at the end are usual and harmless.
fn inner_path(path: &[u8], folder: bool) -> Result<ContentPath, InvalidContentPath> {
    let text = std::str::from_utf8(path).map_err(|_| InvalidContentPath::Characters)?;
    let text = text.strip_prefix("./").unwrap_or(text);
    let text = if folder { text.strip_suffix('/').unwrap_or(text) } else { text };
    ContentPath::parse(text)
}

/// Whether a link's target cannot leave the folder: relative, `..` only in front, and no more of
/// them than there are folders above the link.
fn stays_inside(link: &ContentPath, target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return false };
    let legal = |c: char| !c.is_control() && c != '\\';
    if target.is_empty() || target.starts_with('/') || !target.chars().all(legal) {
        return false;
    }
    let parts: Vec<&str> =
        target.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let ups = parts.iter().take_while(|part| **part == "..").count();
    ups <= link.depth() && !parts[ups..].contains(&"..")
}

fn lossy(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
