//! The operator's `grants.toml` in the state folder, or where `FLEXCORE_GRANTS` says.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_plugin_protocol::{Diagnostics, Grants, append_grant};
use flexcore_ports::{GrantsError, OperatorGrants};

/// The variable that names another file.
const VARIABLE: &str = "FLEXCORE_GRANTS";
/// Its name in the state folder.
const FILE: &str = "grants.toml";

/// Grants in a file, read whenever they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct GrantsFile {
    path: PathBuf,
}

impl GrantsFile {
    /// The file that the environment names, or that of the state folder.
    pub(crate) fn of(environment: &BTreeMap<String, String>, state_folder: &Path) -> Self {
        let named = environment.get(VARIABLE).filter(|path| !path.is_empty());
        Self { path: named.map_or_else(|| state_folder.join(FILE), PathBuf::from) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines at its end; it is written beside and then put in its place, so that nobody reads
    /// half of it.
    pub(crate) fn append(&self, lines: &str) -> Result<(), GrantsError> {
        let name = self.path.display().to_string();
        let unwritable = |error: io::Error| {
            let message = format!("the grants in {name} cannot be written: {error}");
            GrantsError { code: "FC0601", message }
        };
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unwritable(error)),
        };
        let text = append_grant(&name, &text, lines).map_err(|problems| refused(&problems))?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let beside = folder.join(format!(".grants-{}.tmp", std::process::id()));
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)
        };
        write().map_err(|error| {
            // Whatever was written of it is of no use.
            let _ = std::fs::remove_file(&beside);
            unwritable(error)
        })
    }
}

fn refused(problems: &Diagnostics) -> GrantsError {
    GrantsError {
        code: problems.iter().next().map_or("FC0601", |problem| problem.mistake.code()),
        message: problems.to_string(),
    }
}

impl OperatorGrants for GrantsFile {
    /// Without a file nothing is granted.
    fn grants(&self) -> Result<Arc<Grants>, GrantsError> {
        let name = self.path.display().to_string();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => {
                let message = format!("the grants in {name} cannot be read: {error}");
                return Err(GrantsError { code: "FC0601", message });
            }
        };
        let grants = Grants::parse(&name, &text).map_err(|problems| refused(&problems))?;
        Ok(Arc::new(grants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(text: Option<&str>) -> Result<Arc<Grants>, GrantsError> {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::write(folder.path().join(FILE), text).unwrap();
        }
        GrantsFile::of(&BTreeMap::new(), folder.path()).grants()
    }

    #[test]
    fn without_a_file_nothing_is_granted() {
        assert_eq!(*grants(None).unwrap(), Grants::default());
    }

    #[test]
    fn a_file_is_read_and_a_mistake_in_it_has_its_place() {
        let read = grants(Some("grants = 1\n[[grant]]\nplugin = \"a\"\nclock = true\n")).unwrap();
        assert_eq!(read.grants.len(), 1);
        let error =
            grants(Some("grants = 1\n[[grant]]\nplugin = \"a\"\nclok = true\n")).unwrap_err();
        assert_eq!(error.code, "FC0602");
        assert!(error.message.contains("grants.toml:4"), "{}", error.message);
    }

    #[test]
    fn the_environment_names_another_file() {
        let environment = BTreeMap::from([(VARIABLE.to_owned(), "/etc/grants.toml".to_owned())]);
        let file = GrantsFile::of(&environment, Path::new("/srv/.flexcore"));
        assert_eq!(file.path, Path::new("/etc/grants.toml"));
    }
}
