//! The keys of signed checkpoints, in the text forms that other signed-note programs use.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// What the text of a private key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";

/// The number of Ed25519 among the kinds of keys of signed notes.
const ED25519: u8 = 1;

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The name cannot be the name of a key.
    #[error("`{0}` cannot name a key: a name is not empty and has neither spaces nor `+`")]
    Name(String),
    /// The text is of another form. It is not repeated: it may be secret.
    #[error("it is not {0}")]
    Form(&'static str),
    /// A private key where a public one belongs.
    #[error("it is a private key; give the public one, which is the file with `.pub`")]
    IsPrivate,
    /// The key's short id is not that of its name and bytes.
    #[error("the key is damaged: its id does not belong to its name and bytes")]
    Damaged,
}

/// A key that checks signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckpointPublicKey {
    name: String,
    key: VerifyingKey,
}

/// A key that signs. Its text is a secret; `Debug` leaves it out, and it is wiped when dropped.
pub struct CheckpointKey {
    name: String,
    key: SigningKey,
}

impl CheckpointKey {
    /// The key of 32 random bytes.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Ok(Self { name: valid_name(name)?, key: SigningKey::from_bytes(seed) })
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> CheckpointPublicKey {
        CheckpointPublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The text that is kept in a private file. Not `Display`, so that nothing shows it by
    /// accident.
    pub fn secret_text(&self) -> String {
        let id = hex::encode(self.public().id());
        format!("{PRIVATE}{}+{id}+{}", self.name, encoded(self.key.as_bytes()))
    }

    pub(super) fn sign(&self, text: &str) -> [u8; 64] {
        self.key.sign(text.as_bytes()).to_bytes()
    }
}

impl CheckpointPublicKey {
    /// Its name, as it stands in front of signatures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The short id that stands in signatures beside the name: a hint for whoever has several keys.
    pub(super) fn id(&self) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', ED25519]);
        hasher.update(self.key.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    pub(super) fn signed(&self, text: &str, signature: &[u8; 64]) -> bool {
        self.key.verify_strict(text.as_bytes(), &Signature::from_bytes(signature)).is_ok()
    }
}

impl FromStr for CheckpointKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const FORM: &str = "a private key, `PRIVATE+KEY+<name>+<id>+<key>`";
        let text = text.trim_end().strip_prefix(PRIVATE).ok_or(KeyError::Form(FORM))?;
        let (name, id, seed) = parts(text).ok_or(KeyError::Form(FORM))?;
        let key = Self::from_seed(name, &seed)?;
        if hex::encode(key.public().id()) == id { Ok(key) } else { Err(KeyError::Damaged) }
    }
}

impl FromStr for CheckpointPublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        const FORM: &str = "a public key, `<name>+<id>+<key>`";
        let text = text.trim_end();
        if text.starts_with(PRIVATE) {
            return Err(KeyError::IsPrivate);
        }
        let (name, id, key) = parts(text).ok_or(KeyError::Form(FORM))?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::Damaged)?;
        let key = Self { name: valid_name(name)?, key };
        if hex::encode(key.id()) == id { Ok(key) } else { Err(KeyError::Damaged) }
    }
}

impl fmt::Display for CheckpointPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = hex::encode(self.id());
        write!(formatter, "{}+{id}+{}", self.name, encoded(self.key.as_bytes()))
    }
}

impl fmt::Debug for CheckpointPublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CheckpointPublicKey({self})")
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CheckpointKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Name, id and the 32 bytes of a key.
fn parts(text: &str) -> Option<(&str, &str, [u8; 32])> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    let bytes = STANDARD.decode(key).ok()?;
    let (&kind, key) = bytes.split_first()?;
    Some((name, id, key.try_into().ok().filter(|_| kind == ED25519)?))
}

fn encoded(key: &[u8; 32]) -> String {
    STANDARD.encode([&[ED25519], &key[..]].concat())
}

fn valid_name(name: &str) -> Result<String, KeyError> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(wrong) {
        return Err(KeyError::Name(name.to_owned()));
    }
    Ok(name.to_owned())
}
