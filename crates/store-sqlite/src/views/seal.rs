//! Hashes that tell a damaged row of a views file from a row that another log led to.

use flexcore_eventsourcing::Hash;
use sha2::{Digest, Sha256};

/// SHA-256 over the fields of a row, each behind its length.
pub(crate) fn seal(fields: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    Hash(hasher.finalize().into())
}
