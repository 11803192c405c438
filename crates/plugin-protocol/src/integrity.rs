//! What a plugin consists of, byte for byte, and who says so.
//!
//! * [`ContentListing`]: the file `MANIFEST.sha256`, a line `digest  path` for each file, sorted by
//!   path, in the form of `sha256sum`. It lists every file of the plugin but itself and the
//!   signature.
//! * [`ContentListing::digest`]: one digest for the whole plugin. A signature and a registration
//!   mean this one.
//! * [`ContentListing::artifact_digest`]: the same without the line of `plugin.toml`. A manifest
//!   cannot hold a digest of itself, so this is what its `artifact.sha256` says.
//! * [`ContentListing::check`]: whether the files that are there are those that are listed.
//! * [`TrustedKey::verify`]: a minisign signature over the listing, whose trusted comment names
//!   plugin, version and digest, so that the signature of one version cannot stand for another.
//! * [`ArchiveCheck`]: what an archive may hold before it is unpacked.

mod archive;
mod content;
mod listing;
mod path;
mod signature;

pub use archive::{ArchiveCheck, ArchiveEntry, ArchiveLimits, ArchiveRefusal, EntryKind};
pub use content::{ContentDifference, ContentError};
pub use listing::{ContentDigest, ContentListing, ListingError, ListingProblem};
pub use path::{ContentPath, InvalidContentPath};
pub use signature::{InvalidKey, SignatureError, Signed, TrustedKey};

/// The name of a plugin's manifest in its folder.
pub const MANIFEST_FILE: &str = "plugin.toml";
/// The name of the listing in a plugin's folder.
pub const LISTING_FILE: &str = "MANIFEST.sha256";

/// Whether a text is a SHA-256 digest in lower-case hexadecimal.
pub(crate) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
