//! Which node this is: a state folder that has one process at a time.
//!
//! `.flexcore/node` holds an id and where it was written. A lease that an earlier process of the same
//! folder left behind is free, because the lock of the folder says that it lives no more. A copy of
//! the folder is another folder, and must not say so of processes of the first.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use flexcore_ports::Ids;
use uuid::Uuid;

use crate::{host::host_name, paths::StatePaths};

/// The id of the folder, whose lock this process must hold; a new one where there is none, or where
/// it was written for another place.
pub(crate) fn id(paths: &StatePaths, ids: &dyn Ids) -> io::Result<Uuid> {
    let path = paths.node();
    if let Some(id) = known(&path)? {
        return Ok(id);
    }
    let id = ids.next();
    let _ = fs::remove_file(&path);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{id}\n{}", place(&file.metadata()?))?;
    file.sync_all()?;
    Ok(id)
}

/// What the file says, if it says it of itself. One that was cut short says nothing.
fn known(path: &Path) -> io::Result<Option<Uuid>> {
    let (text, metadata) = match fs::read_to_string(path) {
        Ok(text) => (text, fs::metadata(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((id, written_at)) = text.strip_suffix('\n').and_then(|text| text.split_once('\n'))
    else {
        return Ok(None);
    };
    Ok(id.parse().ok().filter(|_| written_at == place(&metadata)))
}

/// What a copy of the file does not share with it.
fn place(metadata: &fs::Metadata) -> String {
    format!("{} {}:{}", host_name(), metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::RandomIds;

    fn id_of(folder: &Path) -> Uuid {
        id(&StatePaths::new(folder), &RandomIds).unwrap()
    }

    #[test]
    fn a_folder_keeps_its_id_and_a_copy_gets_its_own() {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = id_of(folder.path());
        assert_eq!(id_of(folder.path()), first);
        fs::copy(folder.path().join("node"), copy.path().join("node")).unwrap();
        assert_ne!(id_of(copy.path()), first);
        assert_eq!(id_of(folder.path()), first);
    }

    #[test]
    fn a_file_that_was_cut_short_or_scribbled_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        for text in [&b""[..], b"\n", b"no id\nplace\n", b"\xff\xfe\n", b"0192"] {
            fs::write(&path, text).unwrap();
            let id = id_of(folder.path());
            assert_eq!(id_of(folder.path()), id);
        }
    }
}
