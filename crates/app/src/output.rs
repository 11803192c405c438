//! The outputs of steps: masked, and kept where their size allows.
//!
//! An output is JSON. Up to [`MAX_INLINE_BYTES`] it is part of the event that completes the step,
//! up to [`MAX_OUTPUT_BYTES`] it is an artifact that the event names by hash, and above that it is
//! an error: data that large belongs into a target, not between steps. Sizes are those of the JSON
//! without white space.

use flexcore_domain::StoredOutput;
use flexcore_eventsourcing::Hash;
use flexcore_ports::{Artifacts, Mask, StorageError};
use serde_json::{Map, Value};
use thiserror::Error;

/// The largest output that an event holds, in bytes.
pub const MAX_INLINE_BYTES: u64 = 64 * 1024;

/// The largest output of a step, in bytes.
pub const MAX_OUTPUT_BYTES: u64 = 64 * 1024 * 1024;

/// Why an output cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreOutputError {
    /// It is larger than [`MAX_OUTPUT_BYTES`].
    #[error(
        "the output has {size} bytes, more than the {MAX_OUTPUT_BYTES} that a step may hand on; \
         write it to a file and hand on the file's path"
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The artifact could not be written.
    #[error("the output cannot be stored")]
    Storage(#[source] StorageError),
}

/// Why a stored output cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadOutputError {
    /// The artifact is gone.
    #[error(
        "the output's artifact {sha256} is missing; restore it from a backup, or run the step that \
         made it again"
    )]
    Missing {
        /// Its hash.
        sha256: Hash,
    },
    /// The artifact could not be read.
    #[error("the output cannot be read")]
    Storage(#[source] StorageError),
    /// The artifact is intact, but it is not the JSON that the event says.
    #[error("the output's artifact {sha256} is not JSON: {reason}")]
    NotJson {
        /// Its hash.
        sha256: Hash,
        /// What the parser says.
        reason: String,
    },
}

/// Stores the output of a step, durably, and says what its event is to hold.
///
/// # Errors
/// [`StoreOutputError`] if it is too large or the artifact cannot be written.
pub async fn store_output(
    artifacts: &dyn Artifacts,
    output: &Value,
) -> Result<StoredOutput, StoreOutputError> {
    let bytes = output.to_string().into_bytes();
    let size = bytes.len() as u64;
    if size > MAX_OUTPUT_BYTES {
        return Err(StoreOutputError::TooLarge { size });
    }
    if size <= MAX_INLINE_BYTES {
        return Ok(StoredOutput::Inline(output.clone()));
    }
    let sha256 = artifacts.put(&bytes).await.map_err(StoreOutputError::Storage)?;
    Ok(StoredOutput::Artifact { sha256, size })
}

/// The output that an event holds or names.
///
/// # Errors
/// [`LoadOutputError`] if it is an artifact that is gone or cannot be read.
pub async fn load_output(
    artifacts: &dyn Artifacts,
    stored: &StoredOutput,
) -> Result<Value, LoadOutputError> {
    let sha256 = match stored {
        StoredOutput::Inline(output) => return Ok(output.clone()),
        StoredOutput::Artifact { sha256, .. } => *sha256,
    };
    let bytes = artifacts
        .get(sha256)
        .await
        .map_err(LoadOutputError::Storage)?
        .ok_or(LoadOutputError::Missing { sha256 })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| LoadOutputError::NotJson { sha256, reason: error.to_string() })
}

/// The output without the secrets that `mask` knows, in all its texts and keys.
///
/// Numbers and booleans stay: a count that happens to be somebody's PIN must remain a count for
/// the conditions of later steps. Keys that are the same once they are masked become one.
pub fn mask_output(mask: &dyn Mask, output: Value) -> Value {
    match output {
        Value::String(text) => Value::String(mask.apply(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(|value| mask_output(mask, value)).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (mask.apply(&key).into_owned(), mask_output(mask, value)))
                .collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use flexcore_artifacts::FolderArtifacts;
    use flexcore_secrets::SecretMask;
    use serde_json::json;

    use super::*;

    /// A JSON text of exactly `size` bytes, quotes included.
    fn text_of(size: u64) -> Value {
        Value::String("x".repeat(usize::try_from(size).unwrap() - 2))
    }

    #[tokio::test]
    async fn an_output_lies_inline_up_to_the_limit_and_in_an_artifact_above() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = FolderArtifacts::new(folder.path().join("artifacts"));

        let small = text_of(MAX_INLINE_BYTES);
        let stored = store_output(&artifacts, &small).await.unwrap();
        assert_eq!(stored, StoredOutput::Inline(small.clone()));
        assert_eq!(load_output(&artifacts, &stored).await.unwrap(), small);
        assert!(!folder.path().join("artifacts").exists());

        let large = text_of(MAX_INLINE_BYTES + 1);
        let stored = store_output(&artifacts, &large).await.unwrap();
        let StoredOutput::Artifact { sha256, size } = stored else { panic!("{stored:?}") };
        assert_eq!(size, MAX_INLINE_BYTES + 1);
        let bytes = artifacts.get(sha256).await.unwrap().unwrap();
        assert_eq!(bytes, large.to_string().into_bytes());
        assert_eq!(load_output(&artifacts, &stored).await.unwrap(), large);
    }

    #[tokio::test]
    async fn the_largest_output_is_stored_and_a_larger_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = FolderArtifacts::new(folder.path());
        store_output(&artifacts, &text_of(MAX_OUTPUT_BYTES)).await.unwrap();
        let error = store_output(&artifacts, &text_of(MAX_OUTPUT_BYTES + 1)).await.unwrap_err();
        assert_eq!(error, StoreOutputError::TooLarge { size: MAX_OUTPUT_BYTES + 1 });
    }

    #[tokio::test]
    async fn a_missing_or_foreign_artifact_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = FolderArtifacts::new(folder.path());
        let missing = StoredOutput::Artifact { sha256: Hash::ZERO, size: 1 };
        let error = load_output(&artifacts, &missing).await.unwrap_err();
        assert_eq!(error, LoadOutputError::Missing { sha256: Hash::ZERO });

        let sha256 = artifacts.put(b"no JSON").await.unwrap();
        let foreign = StoredOutput::Artifact { sha256, size: 7 };
        let message = load_output(&artifacts, &foreign).await.unwrap_err().to_string();
        assert!(message.contains(&sha256.to_string()), "{message}");
    }

    #[test]
    fn texts_and_keys_are_masked_and_numbers_stay() {
        let mask = SecretMask::default();
        mask.hide("hunter2!");
        mask.hide("12345");
        let output = json!({
            "url": "postgres://me:hunter2!@db",
            "hunter2!": [{ "deep": "hunter2!" }, 12345, "12345", true, null],
        });
        assert_eq!(
            mask_output(&mask, output),
            json!({
                "url": "postgres://me:***@db",
                "***": [{ "deep": "***" }, 12345, "***", true, null],
            })
        );
    }
}
