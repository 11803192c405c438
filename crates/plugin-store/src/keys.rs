//! The keys that the operator trusts: `*.pub` in one folder.

use std::{io, path::Path};

use flexcore_plugin_protocol::{SignatureError, Signed, TrustedKey};

use crate::error::StoreError;

/// A key has two lines.
const MAX_BYTES: u64 = 4 * 1024;

/// Reads the trusted keys; none if there is no such folder.
pub(crate) fn read(folder: &Path) -> Result<Vec<TrustedKey>, StoreError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| StoreError::source(folder, error))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| StoreError::source(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "pub") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<TrustedKey, StoreError> {
    let wrong = |problem: String| StoreError::Key { path: path.to_owned(), problem };
    let data = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if !data.is_file() || data.len() > MAX_BYTES {
        return Err(wrong("it is no file with a key".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    TrustedKey::parse(&text).map_err(|error| wrong(error.to_string()))
}

/// The id of the trusted key that made a signature; `None` if no trusted key did.
///
/// A signature that one of them seems to have made and that is worth nothing is an error: somebody
/// wants to pass for its owner.
pub(crate) fn signer(
    keys: &[TrustedKey],
    signature: &str,
    signed: Signed<'_>,
) -> Result<Option<String>, SignatureError> {
    for key in keys {
        match key.verify(signature, signed) {
            Ok(()) => return Ok(Some(key.id().to_owned())),
            Err(SignatureError::OtherKey { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
