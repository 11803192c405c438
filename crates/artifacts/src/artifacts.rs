//! Bytes under their SHA-256, in a folder.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use flexcore_eventsourcing::Hash;
use flexcore_ports::{Artifacts, StorageError};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::folder;

/// The largest artifact, in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = 64 * 1024 * 1024;

/// Artifacts in a folder: the bytes with hash `ab12…` are the file `sha256/ab/ab12…`.
///
/// A file appears there complete and durable or not at all: it is written and synced in `unfinished/`
/// first, then renamed, then its folder is synced.
#[derive(Debug, Clone)]
pub struct FolderArtifacts {
    folder: PathBuf,
}

impl FolderArtifacts {
    /// Artifacts in `folder`, which is made when the first is stored.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Removes what processes left that were killed while they stored an artifact.
    ///
    /// To be called by the one writer of the store before it begins to write: it cannot tell what
    /// was left from what another process is writing now.
    ///
    /// # Errors
    /// [`StorageError`] if the folder cannot be changed.
    pub fn remove_unfinished(&self) -> Result<(), StorageError> {
        let unfinished = self.unfinished();
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(folder::failed("clear", &unfinished)(error))
            }
            _ => Ok(()),
        }
    }

    fn unfinished(&self) -> PathBuf {
        self.folder.join("unfinished")
    }

    fn path(&self, hash: Hash) -> PathBuf {
        let digits = hash.to_string();
        self.folder.join("sha256").join(&digits[..2]).join(digits)
    }

    fn store(&self, bytes: &[u8]) -> Result<Hash, StorageError> {
        let hash = sha256(bytes);
        let path = self.path(hash);
        let size = bytes.len() as u64;
        if size > MAX_ARTIFACT_BYTES {
            return Err(too_large("store", &path, size));
        }
        self.write(&path, bytes).map_err(folder::failed("write", &path))?;
        Ok(hash)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let parent = path.parent().expect("an artifact's path ends below its folder");
        if !holds(path, bytes) {
            folder::create_durably(parent)?;
            folder::create_durably(&self.unfinished())?;
            let mut file = NamedTempFile::new_in(self.unfinished())?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
        }
        // Also for a file that was there: its writer may have been killed before it came here.
        folder::sync(parent)
    }
}

#[async_trait]
impl Artifacts for FolderArtifacts {
    async fn put(&self, bytes: &[u8]) -> Result<Hash, StorageError> {
        let (artifacts, bytes) = (self.clone(), bytes.to_vec());
        folder::blocking("write", &self.folder, move || artifacts.store(&bytes)).await
    }

    async fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path(hash);
        folder::blocking("read", &self.folder, move || read(&path, hash)).await
    }
}

fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Whether the file is there and undamaged; whatever else is there is replaced.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    let same_size = fs::metadata(path).is_ok_and(|found| found.len() == bytes.len() as u64);
    same_size && fs::read(path).is_ok_and(|found| found == bytes)
}

fn read(path: &Path, hash: Hash) -> Result<Option<Vec<u8>>, StorageError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(folder::failed("read", path)(error)),
    };
    let mut bytes = Vec::new();
    let size = file
        .take(MAX_ARTIFACT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(folder::failed("read", path))? as u64;
    if size > MAX_ARTIFACT_BYTES {
        return Err(too_large("read", path, size));
    }
    let found = sha256(&bytes);
    if found == hash {
        return Ok(Some(bytes));
    }
    let reason = format!(
        "the file was changed after it was stored (its SHA-256 is now {found}); \
         restore it from a backup, or run the step that made it again"
    );
    Err(StorageError { operation: "read", path: path.display().to_string(), reason })
}

fn too_large(operation: &'static str, path: &Path, size: u64) -> StorageError {
    let reason = format!("an artifact has at most {MAX_ARTIFACT_BYTES} bytes, this has {size}");
    StorageError { operation, path: path.display().to_string(), reason }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn artifacts() -> (TempDir, FolderArtifacts) {
        let root = tempfile::tempdir().unwrap();
        let artifacts = FolderArtifacts::new(root.path().join("artifacts"));
        (root, artifacts)
    }

    #[test]
    fn an_artifact_lies_under_its_hash_for_its_owner_alone() {
        let (root, artifacts) = artifacts();
        let hash = artifacts.store(b"abc").unwrap();
        // The example of FIPS 180-4.
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), digits);
        let path = root.path().join("artifacts/sha256/ba").join(digits);
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(artifacts.unfinished()).unwrap().count(), 0);
    }

    #[test]
    fn storing_the_same_bytes_again_changes_nothing() {
        let (_root, artifacts) = artifacts();
        let hash = artifacts.store(b"abc").unwrap();
        let before = fs::metadata(artifacts.path(hash)).unwrap();
        assert_eq!(artifacts.store(b"abc").unwrap(), hash);
        let after = fs::metadata(artifacts.path(hash)).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());
        let inode = std::os::unix::fs::MetadataExt::ino;
        assert_eq!(inode(&before), inode(&after));
    }

    #[test]
    fn a_changed_file_is_an_error_until_it_is_stored_again() {
        let (_root, artifacts) = artifacts();
        let hash = artifacts.store(b"abc").unwrap();
        let path = artifacts.path(hash);
        fs::write(&path, b"abd").unwrap();
        let message = read(&path, hash).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert!(message.contains("was changed"), "{message}");
        artifacts.store(b"abc").unwrap();
        assert_eq!(read(&path, hash).unwrap().as_deref(), Some(&b"abc"[..]));
    }

    #[test]
    fn an_unknown_hash_has_no_bytes() {
        let (_root, artifacts) = artifacts();
        assert_eq!(read(&artifacts.path(Hash::ZERO), Hash::ZERO).unwrap(), None);
    }

    #[test]
    fn the_size_is_limited() {
        let (_root, artifacts) = artifacts();
        let limit = usize::try_from(MAX_ARTIFACT_BYTES).unwrap();
        let mut bytes = vec![0; limit + 1];
        let message = artifacts.store(&bytes).unwrap_err().to_string();
        assert!(message.contains("at most 67108864 bytes, this has 67108865"), "{message}");
        bytes.pop();
        let hash = artifacts.store(&bytes).unwrap();
        assert_eq!(read(&artifacts.path(hash), hash).unwrap().unwrap().len(), limit);
    }

    #[test]
    fn a_file_that_grew_beyond_the_limit_is_not_read_whole() {
        let (_root, artifacts) = artifacts();
        let path = artifacts.path(Hash::ZERO);
        folder::create(path.parent().unwrap()).unwrap();
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read(&path, Hash::ZERO).unwrap_err().reason.contains("at most"));
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let (_root, artifacts) = artifacts();
        artifacts.remove_unfinished().unwrap();
        let hash = artifacts.store(b"abc").unwrap();
        fs::write(artifacts.unfinished().join("left"), "half").unwrap();
        artifacts.remove_unfinished().unwrap();
        assert!(!artifacts.unfinished().exists());
        assert!(artifacts.path(hash).exists());
        artifacts.store(b"abcd").unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let artifacts = FolderArtifacts::new(root.path().join("file"));
        let error = artifacts.store(b"abc").unwrap_err();
        assert_eq!(error.operation, "write");
        assert!(error.path.contains("/file/sha256/ba/"), "{}", error.path);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_stored_is_read_back(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let (_root, artifacts) = artifacts();
            let hash = artifacts.store(&bytes).unwrap();
            prop_assert_eq!(read(&artifacts.path(hash), hash).unwrap(), Some(bytes));
        }
    }
}
