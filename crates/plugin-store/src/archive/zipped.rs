//! `.zip`, Python wheels among them.

use std::{
    fs::File,
    io::{BufReader, Read as _},
};

use flexcore_plugin_protocol::{ArchiveCheck, ArchiveEntry, EntryKind};
use zip::ZipArchive;

use super::{MAX_ABOUT, UnpackError};
use crate::tree::Staging;

const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

pub(crate) fn unpack(
    file: File,
    mut check: ArchiveCheck,
    staging: &mut Staging,
) -> Result<(), UnpackError> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(UnpackError::damaged)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(UnpackError::damaged)?;
        let path = entry.name_raw().to_vec();
        let unix = entry.unix_mode().unwrap_or_default();
        let bytes = entry.size();
        let is_link = unix & TYPE == LINK;
        let mut target = Vec::new();
        if is_link {
            (&mut entry).take(MAX_ABOUT).read_to_end(&mut target).map_err(UnpackError::damaged)?;
        }
        let kind = match unix & TYPE {
            LINK => EntryKind::SymbolicLink { target: &target },
            _ if path.ends_with(b"/") => EntryKind::Folder,
            0 | FILE => EntryKind::File,
            FOLDER => EntryKind::Folder,
            _ => EntryKind::Special,
        };
        let mode = if kind == EntryKind::File { unix & 0o7777 } else { 0 };
        let Some(path) = check.admit(&ArchiveEntry { path: &path, kind, mode, bytes })? else {
            continue;
        };
        match kind {
            EntryKind::File => staging.file(&path, &mut entry, bytes, mode & 0o111 != 0)?,
            EntryKind::SymbolicLink { .. } => staging.link(&path, &target)?,
            _ => staging.folder(path.as_str()).map_err(UnpackError::write)?,
        }
    }
    Ok(())
}
