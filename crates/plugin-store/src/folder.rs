//! Taking in a folder.

use std::{io::Read as _, path::Path};

use flexcore_plugin_protocol::ArchiveLimits;

use crate::{
    error::StoreError,
    tree::{Found, FoundKind, ScanError, Staging, StagingError, open_file, open_folder, scan},
};

/// Copies everything of a folder; each file is hashed while it is copied, so what was verified is
/// what is kept, whoever writes into the folder meanwhile.
pub(crate) fn copy(
    source: &Path,
    limits: ArchiveLimits,
    staging: &mut Staging,
) -> Result<(), StoreError> {
    let root = open_folder(source).map_err(|error| StoreError::source(source, error))?;
    let found = scan(&root, limits).map_err(|error| scan_error(source, error))?;
    for one in &found {
        copy_one(&root, one, staging).map_err(|error| staging_error(source, one, error))?;
    }
    Ok(())
}

fn copy_one(
    root: &std::os::fd::OwnedFd,
    one: &Found,
    staging: &mut Staging,
) -> Result<(), StagingError> {
    match &one.kind {
        FoundKind::Folder => Ok(staging.folder(one.path.as_str())?),
        FoundKind::Link { target } => staging.link(&one.path, target),
        FoundKind::File { bytes, executable } => {
            let file = open_file(root, &one.path).map_err(StagingError::Read)?;
            staging.file(&one.path, &mut file.take(bytes + 1), *bytes, *executable)
        }
    }
}

pub(crate) fn scan_error(source: &Path, error: ScanError) -> StoreError {
    match error {
        ScanError::Io { path, error } => StoreError::source(source.join(path), error),
        ScanError::Refused(refusal) => StoreError::Refused { path: source.to_owned(), refusal },
    }
}

fn staging_error(source: &Path, one: &Found, error: StagingError) -> StoreError {
    match error {
        StagingError::Read(error) => StoreError::source(source.join(one.path.as_str()), error),
        StagingError::Write(error) => StoreError::write("the plugin store", error),
        StagingError::Length => {
            StoreError::unfit(source, &one.path, "changed while it was read; try again")
        }
        StagingError::Link(path) => bad_link(source, &path),
    }
}

/// A link that has no place in a listing.
pub(crate) fn bad_link(source: &Path, path: &flexcore_plugin_protocol::ContentPath) -> StoreError {
    let problem = "is a link to a folder or to nothing; a plugin has links to its own files only";
    StoreError::unfit(source, path, problem)
}
