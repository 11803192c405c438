//! Folders and files of the owner alone, and errors that name them.

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use flexcore_ports::StorageError;

const OWNER_ONLY: u32 = 0o700;

/// Maps an error of the system to the port's, which names the path.
pub(crate) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.display().to_string();
    move |error| StorageError { operation, path, reason: error.to_string() }
}

/// Makes a folder and those above it that are missing.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(folder)
}

/// Makes a folder and those above it that are missing, so that they survive a crash of the
/// machine: the entry of a folder is durable once the folder above it is synced.
pub(crate) fn create_durably(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let Some(above) = parent(folder) else { return create(folder) };
    create_durably(above)?;
    create(folder)?;
    sync(above)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder above; `.` for a relative path of one part.
fn parent(folder: &Path) -> Option<&Path> {
    let above = folder.parent()?;
    Some(if above.as_os_str().is_empty() { Path::new(".") } else { above })
}

/// Runs `work` where waiting for a disk holds up nobody else.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failed(operation, path)(io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn missing_folders_are_made_for_the_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        create_durably(&deep).unwrap();
        create_durably(&deep).unwrap();
        for folder in ["a", "a/b", "a/b/c"] {
            let mode = fs::metadata(root.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
    }

    #[test]
    fn a_relative_path_of_one_part_lies_in_the_current_folder() {
        assert_eq!(parent(Path::new("a")), Some(Path::new(".")));
        assert_eq!(parent(Path::new("a/b")), Some(Path::new("a")));
        assert_eq!(parent(Path::new("/")), None);
    }

    #[test]
    fn an_error_names_operation_path_and_reason() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let below = file.join("below");
        let error = create_durably(&below).map_err(failed("create", &below)).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&format!("cannot create {}: ", below.display())), "{message}");
        assert!(message.len() > format!("cannot create {}: ", below.display()).len());
    }
}
