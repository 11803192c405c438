//! Taking in an archive, entry by entry; nothing is written that [`ArchiveCheck`] did not admit.

mod tarball;
mod zipped;

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    path::Path,
};

use flexcore_plugin_protocol::{ArchiveCheck, ArchiveLimits, ArchiveRefusal};

use crate::{
    error::StoreError,
    folder::bad_link,
    tree::{Staging, StagingError},
};

/// The largest piece of an archive that is about an entry rather than in it: a long name, a link's
/// target.
const MAX_ABOUT: u64 = 64 * 1024;
/// What an archive may have besides the bytes of its files, for each entry.
const OVERHEAD: u64 = 4 * 1024;

/// Why an archive cannot be unpacked.
#[derive(Debug)]
pub(crate) enum UnpackError {
    Refused(ArchiveRefusal),
    Damaged(String),
    Staging(StagingError),
}

impl From<ArchiveRefusal> for UnpackError {
    fn from(refusal: ArchiveRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StagingError> for UnpackError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

impl UnpackError {
    pub(crate) fn damaged(error: impl std::fmt::Display) -> Self {
        Self::Damaged(error.to_string())
    }

    pub(crate) fn in_store(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        let archive = |problem: String| StoreError::Archive { path: path.clone(), problem };
        match self {
            Self::Refused(refusal) => StoreError::Refused { path, refusal },
            Self::Damaged(problem) => archive(problem),
            Self::Staging(StagingError::Read(error)) => archive(format!("it is damaged: {error}")),
            Self::Staging(StagingError::Length) => {
                archive("an entry has another length than it says".to_owned())
            }
            Self::Staging(StagingError::Write(error)) => {
                StoreError::write("the plugin store", error)
            }
            Self::Staging(StagingError::Link(link)) => bad_link(&path, &link),
        }
    }
}

/// Unpacks an archive; which kind it is, its first bytes say.
pub(crate) fn unpack(
    path: &Path,
    limits: ArchiveLimits,
    staging: &mut Staging,
) -> Result<(), StoreError> {
    let source = |error: std::io::Error| StoreError::source(path, error);
    let mut file = File::open(path).map_err(source)?;
    if !file.metadata().map_err(source)?.is_file() {
        return Err(StoreError::source(path, "it is neither a folder nor a file"));
    }
    let mut first = Vec::new();
    (&mut file).take(512).read_to_end(&mut first).map_err(source)?;
    file.rewind().map_err(source)?;
    let check = ArchiveCheck::new(limits);
    let budget =
        limits.total_bytes.saturating_add((limits.entries as u64).saturating_mul(OVERHEAD));
    let unpacked = match Format::of(&first) {
        Some(Format::Tar) => tarball::unpack(BufReader::new(file).take(budget), check, staging),
        Some(Format::TarGzip) => {
            let plain = flate2::bufread::MultiGzDecoder::new(BufReader::new(file));
            tarball::unpack(plain.take(budget), check, staging)
        }
        Some(Format::Zip) => zipped::unpack(file, check, staging),
        None => Err(UnpackError::damaged("it is neither .tar, .tar.gz nor .zip")),
    };
    unpacked.map_err(|error| error.in_store(path))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Tar,
    TarGzip,
    Zip,
}

impl Format {
    fn of(first: &[u8]) -> Option<Self> {
        if first.starts_with(&[0x1f, 0x8b]) {
            Some(Self::TarGzip)
        } else if first.starts_with(b"PK\x03\x04") {
            Some(Self::Zip)
        } else if first.get(257..262) == Some(b"ustar") {
            Some(Self::Tar)
        } else {
            None
        }
    }
}
