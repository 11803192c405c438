//! `.tar`: read header by header, because what is said about an entry can be as large as the entry.

use std::io::Read;

use flexcore_plugin_protocol::{ArchiveCheck, ArchiveEntry, ContentPath, EntryKind};
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{MAX_ABOUT, UnpackError};
use crate::tree::Staging;

/// What earlier entries said about the next one.
#[derive(Debug, Default)]
struct About {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// An entry that was admitted, without its bytes.
enum Admitted {
    File { bytes: u64, executable: bool },
    Folder,
    Link(Vec<u8>),
    Copy(Vec<u8>),
}

pub(super) fn unpack(
    reader: impl Read,
    mut check: ArchiveCheck,
    staging: &mut Staging,
) -> Result<(), UnpackError> {
    let mut archive = Archive::new(reader);
    let mut about = About::default();
    for entry in archive.entries().map_err(UnpackError::damaged)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::damaged)?;
        match entry.header().entry_type() {
            EntryType::GNULongName => about.path = Some(long_text(&mut entry)?),
            EntryType::GNULongLink => about.target = Some(long_text(&mut entry)?),
            EntryType::XHeader => about.read_pax(&mut entry)?,
            EntryType::XGlobalHeader => drop(read_about(&mut entry)?),
            _ => unpack_one(&mut entry, std::mem::take(&mut about), &mut check, staging)?,
        }
    }
    Ok(())
}

fn unpack_one(
    entry: &mut Entry<'_, impl Read>,
    about: About,
    check: &mut ArchiveCheck,
    staging: &mut Staging,
) -> Result<(), UnpackError> {
    let path = about.path.unwrap_or_else(|| entry.path_bytes().into_owned());
    let in_header = || entry.link_name_bytes().map(std::borrow::Cow::into_owned);
    let target = about.target.or_else(in_header).unwrap_or_default();
    let mode = entry.header().mode().map_err(UnpackError::damaged)?;
    let bytes = entry.header().entry_size().map_err(UnpackError::damaged)?;
    let (kind, admitted) = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => {
            (EntryKind::Folder, Admitted::Folder)
        }
        EntryType::Regular | EntryType::Continuous => {
            (EntryKind::File, Admitted::File { bytes, executable: mode & 0o111 != 0 })
        }
        EntryType::Directory => (EntryKind::Folder, Admitted::Folder),
        EntryType::Symlink => {
            (EntryKind::SymbolicLink { target: &target }, Admitted::Link(target.clone()))
        }
        EntryType::Link => {
            (EntryKind::HardLink { target: &target }, Admitted::Copy(target.clone()))
        }
        _ => (EntryKind::Special, Admitted::Folder),
    };
    // Folders get a mode of ours; setgid on a shared folder is usual and harms nobody.
    let mode = if kind == EntryKind::Folder { mode & 0o777 } else { mode };
    let Some(path) = check.admit(&ArchiveEntry { path: &path, kind, mode, bytes })? else {
        return Ok(());
    };
    match admitted {
        Admitted::File { bytes, executable } => staging.file(&path, entry, bytes, executable)?,
        Admitted::Folder => staging.folder(path.as_str()).map_err(UnpackError::write)?,
        Admitted::Link(target) => staging.link(&path, &target)?,
        Admitted::Copy(of) => {
            let of = std::str::from_utf8(&of).ok().and_then(|of| ContentPath::parse(of).ok());
            let of = of.ok_or_else(|| UnpackError::damaged("a hard link leads nowhere"))?;
            staging.copy(&path, &of)?;
        }
    }
    Ok(())
}

impl About {
    fn read_pax(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let bytes = read_about(entry)?;
        for extension in PaxExtensions::new(&bytes) {
            let extension = extension.map_err(UnpackError::damaged)?;
            let value = || Some(extension.value_bytes().to_vec());
            match extension.key_bytes() {
                b"path" => self.path = value(),
                b"linkpath" => self.target = value(),
                // Only files above 8 GiB and sparse ones need these, and neither is admitted.
                b"size" => return Err(UnpackError::damaged("an entry is beyond all measure")),
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(UnpackError::damaged("it has sparse files"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl UnpackError {
    pub(super) fn write(error: std::io::Error) -> Self {
        Self::Staging(crate::tree::StagingError::Write(error))
    }
}

/// A name that is too long for a header, without the zero at its end.
fn long_text(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = read_about(entry)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

fn read_about(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    entry.take(MAX_ABOUT + 1).read_to_end(&mut bytes).map_err(UnpackError::damaged)?;
    if bytes.len() as u64 > MAX_ABOUT {
        return Err(UnpackError::damaged("a name or an attribute is beyond all measure"));
    }
    Ok(bytes)
}
