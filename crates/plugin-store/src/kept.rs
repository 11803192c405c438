//! Plugins that were taken in: whether their files are still what their digest says.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use flexcore_plugin_protocol::{
    ArchiveLimits, ContentDigest, ContentListing, ContentPath, LISTING_FILE, TrustedKey,
};
use flexcore_ports::StoredPlugin;

use crate::{
    error::StoreError,
    tree::{
        Found, FoundKind, ScanError, digest, open_beneath, open_folder, open_through_links,
        read_text, scan,
    },
    verify::{Texts, path, read_manifest, read_schema, signed_by},
};

/// A listing may have a line for each of a hundred thousand files.
const MAX_LISTING: u64 = 128 << 20;

/// What was verified in this process, with how everything looked then. As long as nothing was
/// written, replaced or added it needs no second reading.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<ContentDigest, Known>>);

#[derive(Debug, Clone)]
struct Known {
    plugin: StoredPlugin,
    found: Vec<Found>,
}

impl Seen {
    /// The plugin of a digest, verified; `None` if it is not there.
    pub(crate) fn find(
        &self,
        parent: &Path,
        wanted: &ContentDigest,
        limits: ArchiveLimits,
        keys: &[TrustedKey],
    ) -> Result<Option<StoredPlugin>, StoreError> {
        let folder = parent.join(wanted.to_string());
        let root = match open_kept(parent, wanted) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget(wanted);
                return Ok(None);
            }
            root => root.map_err(|error| StoreError::source(&folder, error))?,
        };
        let kept = Kept { root, folder, digest: *wanted };
        let found = kept.scan(limits)?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(wanted).filter(|known| known.found == found) {
            return Ok(Some(known.plugin.clone()));
        }
        known.remove(wanted);
        drop(known);
        let plugin = kept.verify(&found, keys)?;
        let entry = Known { plugin: plugin.clone(), found };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*wanted, entry);
        Ok(Some(plugin))
    }

    pub(crate) fn forget(&self, digest: &ContentDigest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

fn open_kept(parent: &Path, digest: &ContentDigest) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    open_beneath(open_folder(parent)?, &digest.to_string(), flags, Mode::empty())
}

/// The folder of one plugin.
struct Kept {
    root: OwnedFd,
    folder: PathBuf,
    digest: ContentDigest,
}

impl Texts for Kept {
    fn text(&self, path: &ContentPath, limit: u64) -> io::Result<String> {
        read_text(&self.root, path, limit)
    }
}

impl Kept {
    fn scan(&self, limits: ArchiveLimits) -> Result<Vec<Found>, StoreError> {
        // The listing and the signature came on top.
        let limits = ArchiveLimits { entries: limits.entries.saturating_add(2), ..limits };
        scan(&self.root, limits).map_err(|error| match error {
            ScanError::Io { path, error } => self.tampered(format!("`{path}`: {error}")),
            ScanError::Refused(refusal) => self.tampered(refusal.to_string()),
        })
    }

    /// Reads every byte and holds it against the digest.
    fn verify(&self, found: &[Found], keys: &[TrustedKey]) -> Result<StoredPlugin, StoreError> {
        let text = self.text(&path(LISTING_FILE)?, MAX_LISTING);
        let text = text.map_err(|error| self.tampered(format!("`{LISTING_FILE}`: {error}")))?;
        if ContentDigest::of(text.as_bytes()) != self.digest {
            return Err(self.tampered(format!("`{LISTING_FILE}` was changed")));
        }
        let listing =
            ContentListing::parse(&text).map_err(|error| self.tampered(error.to_string()))?;
        let (manifest, manifest_text) =
            read_manifest(self, &self.folder.join(flexcore_plugin_protocol::MANIFEST_FILE))?;
        let signature = manifest.artifact.as_ref().and_then(|artifact| artifact.signature.as_ref());
        let real = self.hash(found, signature)?;
        listing
            .check(&real, manifest.artifact.as_ref())
            .map_err(|error| self.tampered(error.to_string()))?;
        let config_schema = read_schema(&manifest, self)?;
        let signed_by = signed_by(&manifest, &listing, self, keys, &self.folder)?;
        Ok(StoredPlugin {
            manifest,
            manifest_text,
            digest: self.digest,
            folder: self.folder.clone(),
            config_schema,
            signed_by,
        })
    }

    fn hash(
        &self,
        found: &[Found],
        signature: Option<&ContentPath>,
    ) -> Result<ContentListing, StoreError> {
        let files = found
            .iter()
            .filter(|one| one.kind != FoundKind::Folder && Some(&one.path) != signature);
        let entry = |one: &Found| {
            let file = open_through_links(&self.root, &one.path);
            let hashed = file.and_then(digest);
            let hashed =
                hashed.map_err(|error| self.tampered(format!("`{}`: {error}", one.path)))?;
            Ok((one.path.clone(), hashed))
        };
        files.map(entry).collect()
    }

    fn tampered(&self, problem: String) -> StoreError {
        StoreError::Tampered { digest: self.digest, path: self.folder.clone(), problem }
    }
}
