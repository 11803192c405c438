//! Minisign signatures (Ed25519, <https://jedisct1.github.io/minisign/>) over listings.

use std::fmt;

use minisign_verify::{Error as MinisignError, PublicKey, Signature};

use super::{ContentListing, MANIFEST_FILE};

/// A public key whose owner the operator trusts.
#[derive(Clone)]
pub struct TrustedKey {
    id: String,
    key: PublicKey,
}

/// A text that is no minisign public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a minisign public key; one has 56 characters and begins with `RW`, or is the file that `minisign -G` makes"
)]
pub struct InvalidKey;

/// What a signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The plugin's name.
    pub name: &'a str,
    /// The plugin's version.
    pub version: &'a str,
    /// The listing of its files.
    pub listing: &'a ContentListing,
}

/// Why a signature is worth nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The text is no signature.
    #[error("the file is no minisign signature")]
    Malformed,
    /// The signature is of the old kind, which hashes nothing in advance.
    #[error("the signature is of minisign's legacy kind; sign again with a current minisign")]
    Legacy,
    /// Another key made it.
    #[error("the signature was not made with the trusted key {trusted}")]
    OtherKey {
        /// The id of the key that it was held against.
        trusted: String,
    },
    /// The listing or the comment is not what was signed.
    #[error("the signature does not fit the listing; one of them was changed")]
    Changed,
    /// The signature is good, but says nothing about the manifest.
    #[error("the signed listing does not have {MANIFEST_FILE}, so anybody could have changed it")]
    NoManifest,
    /// The signature is good, but for another plugin, version or content.
    #[error("the signature's trusted comment is `{found}`, it must contain `{expected}`")]
    OtherContent {
        /// What the comment says.
        found: String,
        /// What it must contain.
        expected: String,
    },
}

impl SignatureError {
    /// Its stable code; the page is in `docs/errors`.
    pub const CODE: &str = "FC0608";
}

impl TrustedKey {
    /// Reads a key: its 56 characters, or the file with its comment line.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let encoded = match text.trim().lines().collect::<Vec<_>>().as_slice() {
            [key] => key.trim(),
            [comment, key] if comment.starts_with("untrusted comment:") => key.trim(),
            _ => return Err(InvalidKey),
        };
        let key = PublicKey::from_base64(encoded).map_err(|_| InvalidKey)?;
        Ok(Self { id: key_id(encoded).ok_or(InvalidKey)?, key })
    }

    /// The key's id as minisign shows it: 16 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether this is the key that a manifest's `key_id` names: its id, or all of it.
    pub fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.id)
            || Self::parse(name).is_ok_and(|key| key.key == self.key)
    }

    /// Whether a signature was made with this key, over this listing, for this plugin and version.
    ///
    /// # Errors
    ///
    /// Why the signature is worth nothing.
    pub fn verify(&self, signature: &str, signed: Signed<'_>) -> Result<(), SignatureError> {
        let signature = Signature::decode(signature).map_err(|_| SignatureError::Malformed)?;
        self.key
            .verify(signed.listing.to_string().as_bytes(), &signature, false)
            .map_err(|error| self.explain(&error))?;
        if signed.listing.get(MANIFEST_FILE).is_none() {
            return Err(SignatureError::NoManifest);
        }
        let expected = signed.listing.trusted_comment(signed.name, signed.version);
        let comment = signature.trusted_comment();
        let words: Vec<&str> = comment.split_whitespace().collect();
        let wanted: Vec<&str> = expected.split(' ').collect();
        if words.windows(wanted.len()).any(|part| part == wanted.as_slice()) {
            return Ok(());
        }
        Err(SignatureError::OtherContent { found: shown(comment), expected })
    }

    fn explain(&self, error: &MinisignError) -> SignatureError {
        match error {
            MinisignError::UnexpectedKeyId => SignatureError::OtherKey { trusted: self.id.clone() },
            MinisignError::UnsupportedLegacyMode | MinisignError::UnexpectedAlgorithm => {
                SignatureError::Legacy
            }
            MinisignError::InvalidSignature => SignatureError::Changed,
            _ => SignatureError::Malformed,
        }
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TrustedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl ContentListing {
    /// The trusted comment with which this listing is signed (`minisign -S -t COMMENT`).
    pub fn trusted_comment(&self, name: &str, version: &str) -> String {
        format!("{name} {version} {}", self.digest())
    }
}

/// The id inside of an encoded key: the eight bytes after the algorithm, little-endian.
fn key_id(encoded: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bytes = STANDARD.decode(encoded).ok()?;
    let id = bytes.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

/// A comment without what would break the line of a message.
fn shown(comment: &str) -> String {
    comment.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
