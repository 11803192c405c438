//! Why a plugin is not in the store, in words that say where and what to do.

use std::{io, path::PathBuf};

use flexcore_plugin_protocol::{
    ArchiveRefusal, ContentDigest, ContentError, ContentPath, Diagnostics, ListingError,
    SignatureError,
};
use flexcore_ports::PluginStoreError;

/// Why a plugin could not be taken in, found or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("{} cannot be read: {cause}", .path.display())]
    Source { path: PathBuf, cause: String },
    #[error(
        "{} is no plugin: it has no `plugin.toml`; name the folder that has it, or make the archive from within that folder",
        .path.display()
    )]
    NoManifest { path: PathBuf },
    #[error("the plugin's files cannot be kept in {}: {cause}; check space and rights there", .path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error(
        "the files of plugin {digest} in {} are no longer what they were: {problem}; install the plugin again, and find out who wrote there",
        .path.display()
    )]
    Tampered { digest: ContentDigest, path: PathBuf, problem: String },
    #[error("{} is no trusted key: {problem}; a trusted key is a minisign public key in a file that ends in `.pub`", .path.display())]
    Key { path: PathBuf, problem: String },
    #[error(
        "plugin `{name}` is not signed by a key that is trusted here, and only signed plugins are; put its author's public key into {} if you trust it",
        .keys.display()
    )]
    NotSigned { name: String, keys: PathBuf },
    #[error("plugin `{name}`: {problem}")]
    Incomplete { name: String, problem: String },
    #[error("{}: `{path}` {problem}", .source_path.display())]
    Unfit { source_path: PathBuf, path: String, problem: String },
    #[error("{} cannot be unpacked: {problem}", .path.display())]
    Archive { path: PathBuf, problem: String },
    #[error("{}: {refusal}", .path.display())]
    Refused { path: PathBuf, refusal: ArchiveRefusal },
    #[error("{0}")]
    Manifest(Diagnostics),
    #[error("{}: {error}", .path.display())]
    Listing { path: PathBuf, error: ListingError },
    #[error("{}: {error}", .path.display())]
    Content { path: PathBuf, error: ContentError },
    #[error("{}: {error}", .path.display())]
    Signature { path: PathBuf, error: SignatureError },
    #[error("{package} cannot be had from the Python Package Index: {problem}")]
    Resolve { package: String, problem: String },
    #[error("the Python environment of {package} cannot be built: {problem}")]
    Build { package: String, problem: String },
    #[error("{}: {problem}", .path.display())]
    Lock { path: PathBuf, problem: String },
}

impl StoreError {
    pub(crate) fn source(path: impl Into<PathBuf>, cause: impl std::fmt::Display) -> Self {
        Self::Source { path: path.into(), cause: cause.to_string() }
    }

    pub(crate) fn write(path: impl Into<PathBuf>, cause: impl Into<io::Error>) -> Self {
        Self::Write { path: path.into(), cause: cause.into() }
    }

    pub(crate) fn unfit(
        source_path: impl Into<PathBuf>,
        path: &ContentPath,
        problem: impl Into<String>,
    ) -> Self {
        let (source_path, path) = (source_path.into(), path.to_string());
        Self::Unfit { source_path, path, problem: problem.into() }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Source { .. } | Self::NoManifest { .. } => "FC0667",
            Self::Write { .. } => "FC0668",
            Self::Tampered { .. } => "FC0669",
            Self::Key { .. } => "FC0670",
            Self::NotSigned { .. } => "FC0671",
            Self::Incomplete { .. } => "FC0672",
            Self::Unfit { .. } => "FC0673",
            Self::Resolve { .. } => "FC0674",
            Self::Build { .. } => "FC0675",
            Self::Lock { .. } => "FC0676",
            Self::Archive { .. } => "FC0677",
            Self::Refused { .. } => ArchiveRefusal::CODE,
            Self::Listing { .. } => ListingError::CODE,
            Self::Content { .. } => ContentError::CODE,
            Self::Signature { .. } => SignatureError::CODE,
            // Each diagnostic shows its own code; the first stands for the file.
            Self::Manifest(found) => found.iter().next().map_or("FC0601", |one| one.mistake.code()),
        }
    }
}

impl From<StoreError> for PluginStoreError {
    fn from(error: StoreError) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}
