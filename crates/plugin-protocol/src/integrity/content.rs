//! Whether a plugin's files are those that its listing and its manifest name.

use super::{
    ContentDigest, ContentListing, ContentPath, LISTING_FILE, ListingError, MANIFEST_FILE,
};
use crate::manifest::Artifact;

/// Why the content of a plugin is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The listing cannot be read.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The listing says nothing about the manifest, so the manifest could be anybody's.
    #[error("{LISTING_FILE} does not list {MANIFEST_FILE}")]
    NoManifest,
    /// The manifest's digest of the other files is another.
    #[error("{MANIFEST_FILE} says that the content is {stated}, {LISTING_FILE} says {listed}")]
    OtherArtifact {
        /// What the manifest says.
        stated: ContentDigest,
        /// What the listing says.
        listed: ContentDigest,
    },
    /// Files that are not as listed.
    #[error("{} of the plugin: {}", files(.0.len()), shown(.0))]
    Files(Vec<ContentDifference>),
}

impl ContentError {
    /// Its stable code; the page is in `docs/errors`.
    pub const CODE: &str = "FC0612";
}

/// A file that is not as listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentDifference {
    /// It is listed and not there.
    #[error("`{0}` is missing")]
    Missing(ContentPath),
    /// It is there and not listed.
    #[error("`{0}` is not listed")]
    Unlisted(ContentPath),
    /// Its bytes are others.
    #[error("`{0}` was changed")]
    Changed(ContentPath),
}

impl ContentListing {
    /// Holds the listing against the digests of the files that are really there and, where the
    /// manifest says what the artifact is, against the manifest. Whoever made `found` left out the
    /// listing and the signature, and nothing else.
    ///
    /// # Errors
    ///
    /// What differs; of files, all.
    pub fn check(&self, found: &Self, artifact: Option<&Artifact>) -> Result<(), ContentError> {
        if self.get(MANIFEST_FILE).is_none() {
            return Err(ContentError::NoManifest);
        }
        let listed = self.artifact_digest();
        if let Some(stated) = artifact.map(|artifact| artifact.sha256).filter(|one| *one != listed)
        {
            return Err(ContentError::OtherArtifact { stated, listed });
        }
        let differences = self.differences(found);
        if differences.is_empty() { Ok(()) } else { Err(ContentError::Files(differences)) }
    }

    fn differences(&self, found: &Self) -> Vec<ContentDifference> {
        let listed = self.iter().filter_map(|(path, digest)| match found.get(path.as_str()) {
            None => Some(ContentDifference::Missing(path.clone())),
            Some(real) => (real != digest).then(|| ContentDifference::Changed(path.clone())),
        });
        let unlisted = found.iter().filter(|(path, _)| self.get(path.as_str()).is_none());
        listed.chain(unlisted.map(|(path, _)| ContentDifference::Unlisted(path.clone()))).collect()
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// The first few, so that a message has an end.
fn shown(differences: &[ContentDifference]) -> String {
    const SHOWN: usize = 5;
    let texts: Vec<String> = differences.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if differences.len() > SHOWN { ", …" } else { "" };
    texts.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, &str)]) -> ContentListing {
        let entry = |(path, text): &(&str, &str)| {
            (ContentPath::parse(path).unwrap(), ContentDigest::of(text.as_bytes()))
        };
        files.iter().map(entry).collect()
    }

    #[test]
    fn every_file_that_is_not_as_listed_is_named() {
        let listed = listing(&[("plugin.toml", "m"), ("a", "1"), ("b", "2")]);
        assert_eq!(listed.check(&listed, None), Ok(()));
        let found = listing(&[("plugin.toml", "m"), ("a", "x"), ("c", "3")]);
        let error = listed.check(&found, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "3 files of the plugin: `a` was changed, `b` is missing, `c` is not listed"
        );
    }

    #[test]
    fn a_manifest_must_be_listed_and_fit() {
        let bare = listing(&[("a", "1")]);
        assert_eq!(bare.check(&bare, None), Err(ContentError::NoManifest));
        let listed = listing(&[("plugin.toml", "m"), ("a", "1")]);
        let artifact = |sha256| Artifact { sha256, signature: None, key_id: None };
        assert_eq!(listed.check(&listed, Some(&artifact(listed.artifact_digest()))), Ok(()));
        let other = listed.check(&listed, Some(&artifact(listed.digest())));
        assert!(matches!(other, Err(ContentError::OtherArtifact { .. })));
    }
}
