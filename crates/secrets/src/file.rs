//! Secrets in files, one each, as container platforms mount them.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use flexcore_ports::SecretError;

use crate::SecretProvider;

/// The largest secret that a file may hold, in bytes: room for a certificate chain with its key.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// The longest name of a file that Linux file systems take.
const MAX_NAME_BYTES: usize = 255;

/// Secrets from a folder, one file for each, named as the secret.
///
/// One line end at the end of a file is not part of the value, because editors and `echo` add
/// it. A file is read anew each time, so that a rotated secret counts from the next use on.
/// Symbolic links are followed: Kubernetes mounts secrets as links.
///
/// A name is ASCII letters, digits, `_`, `-` and `.`, and does not begin with a `.`, so that no
/// name leads out of the folder.
#[derive(Debug)]
pub struct FileSecrets {
    folder: PathBuf,
}

impl FileSecrets {
    /// Secrets from the files in `folder`. A folder that does not exist holds none.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn unreadable(&self, name: &str, reason: impl Into<String>) -> SecretError {
        SecretError::Unreadable {
            name: name.to_owned(),
            place: self.place(name),
            reason: reason.into(),
        }
    }
}

#[async_trait]
impl SecretProvider for FileSecrets {
    async fn find(&self, name: &str) -> Result<Option<String>, SecretError> {
        if !is_file_name(name) {
            return Err(SecretError::Unreadable {
                name: name.to_owned(),
                place: format!("folder {}", self.folder.display()),
                reason: "a name is up to 255 letters, digits, `_`, `-` and `.`, not with `.` first"
                    .to_owned(),
            });
        }
        // A small local file: handing it to another thread would take longer than reading it.
        let bytes = match read_at_most(&self.folder.join(name), MAX_SECRET_BYTES) {
            Ok(Content::Whole(bytes)) => bytes,
            Ok(Content::TooLarge) => {
                let reason = format!("it is larger than {} KiB", MAX_SECRET_BYTES / 1024);
                return Err(self.unreadable(name, reason));
            }
            Ok(Content::NotAFile) => return Err(self.unreadable(name, "it is not a file")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(name, error.to_string())),
        };
        let mut value =
            String::from_utf8(bytes).map_err(|_| self.unreadable(name, "it is not UTF-8"))?;
        trim_line_end(&mut value);
        Ok(Some(value))
    }

    fn place(&self, name: &str) -> String {
        format!("file {}", self.folder.join(name).display())
    }
}

fn is_file_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(legal)
}

enum Content {
    Whole(Vec<u8>),
    TooLarge,
    /// Opening a pipe would wait for its other end.
    NotAFile,
}

fn read_at_most(path: &Path, limit: usize) -> io::Result<Content> {
    if !fs::metadata(path)?.is_file() {
        return Ok(Content::NotAFile);
    }
    let mut bytes = Vec::new();
    let beyond = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(beyond).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > limit { Content::TooLarge } else { Content::Whole(bytes) })
}

fn trim_line_end(value: &mut String) {
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use tempfile::TempDir;

    use super::*;
    use crate::testing::ready;

    fn find(folder: &TempDir, name: &str) -> Result<Option<String>, SecretError> {
        ready(FileSecrets::new(folder.path()).find(name))
    }

    fn reason(folder: &TempDir, name: &str) -> String {
        match find(folder, name) {
            Err(SecretError::Unreadable { reason, .. }) => reason,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn exactly_one_line_end_is_not_part_of_the_value() {
        let folder = tempfile::tempdir().unwrap();
        for (content, value) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            (" a \n", " a "),
            ("\n", ""),
            ("", ""),
        ] {
            fs::write(folder.path().join("S"), content).unwrap();
            assert_eq!(find(&folder, "S").unwrap().as_deref(), Some(value), "{content:?}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("outside"), "x").unwrap();
        let inside = outside.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join(".hidden"), "x").unwrap();
        let secrets = FileSecrets::new(&inside);
        let absolute = outside.path().join("outside").display().to_string();
        for name in ["../outside", "..", ".", "", ".hidden", "a/b", "a\0b", "ä", &absolute] {
            let found = ready(secrets.find(name));
            assert!(matches!(found, Err(SecretError::Unreadable { .. })), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_missing_file_or_folder_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(&folder, "S").unwrap(), None);
        let missing = FileSecrets::new(folder.path().join("missing"));
        assert_eq!(ready(missing.find("S")), Ok(None));
    }

    #[test]
    fn the_size_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("S");
        fs::write(&path, vec![b'x'; MAX_SECRET_BYTES]).unwrap();
        assert_eq!(find(&folder, "S").unwrap().unwrap().len(), MAX_SECRET_BYTES);
        fs::write(&path, vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap();
        assert_eq!(reason(&folder, "S"), "it is larger than 64 KiB");
    }

    #[test]
    fn what_is_not_a_text_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("FOLDER")).unwrap();
        assert_eq!(reason(&folder, "FOLDER"), "it is not a file");
        let _listener = UnixListener::bind(folder.path().join("SOCKET")).unwrap();
        assert_eq!(reason(&folder, "SOCKET"), "it is not a file");
        fs::write(folder.path().join("RAW"), [0xff]).unwrap();
        assert_eq!(reason(&folder, "RAW"), "it is not UTF-8");
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..data")).unwrap();
        fs::write(folder.path().join("..data/S"), "rotated").unwrap();
        symlink("..data/S", folder.path().join("S")).unwrap();
        assert_eq!(find(&folder, "S").unwrap().as_deref(), Some("rotated"));
    }
}
