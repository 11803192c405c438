//! Where an attempt works: its work folder and its private files.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_ports::{AttemptLog, LogSource, attempt::AttemptContext};
use flexcore_sandbox::Surroundings;
use serde_json::Value;

use crate::{failure::PrepareError, folder::PrivateFolder, plugin::Role};

/// Both folders of an attempt; they go when this is dropped.
pub(crate) struct Workplace {
    private: PrivateFolder,
    _work: WorkFolder,
    log: Arc<dyn AttemptLog>,
}

/// The folder that plugins know as `FLEXCORE_WORK`.
struct WorkFolder(PathBuf);

impl Workplace {
    /// Makes the folders; private files go to the first of `bases` that takes them.
    pub(crate) fn create<'a>(
        context: &AttemptContext,
        bases: impl Iterator<Item = &'a Path>,
    ) -> Result<Self, PrepareError> {
        let work = WorkFolder::create(&context.work_folder)?;
        let log = Arc::clone(&context.log);
        let name = format!("{}-{}-{}", context.execution, context.step, context.attempt);
        for base in bases {
            match PrivateFolder::create(base, &name) {
                Ok(private) => return Ok(Self { private, _work: work, log }),
                Err(error) => {
                    tracing::debug!(base = %base.display(), %error, "no private folder here");
                }
            }
        }
        let path = &context.work_folder;
        let private = PrivateFolder::create(path, &name)
            .map_err(|source| PrepareError::Folder { path: path.clone(), source })?;
        let warning = "neither XDG_RUNTIME_DIR nor /dev/shm can be used: the config files of this \
            attempt, with their secrets, lie on disk until it ends";
        log.line(LogSource::Runner, warning);
        Ok(Self { private, _work: work, log })
    }

    /// Writes the config of a plugin, which may change its copy.
    pub(crate) fn write_config(&self, role: Role, config: &Value) -> Result<PathBuf, PrepareError> {
        self.write(role, CONFIG, config.to_string().as_bytes())
    }

    /// Writes a private file of one of the plugins; the other one does not see it.
    pub(crate) fn write(
        &self,
        role: Role,
        file: &'static str,
        content: &[u8],
    ) -> Result<PathBuf, PrepareError> {
        let failed = |source| PrepareError::File { file, source };
        self.private.write(role.as_str(), file, content).map_err(failed)
    }

    /// Where a plugin's config is, once it was written.
    pub(crate) fn config_file(&self, role: Role) -> PathBuf {
        self.private.path().join(role.as_str()).join(CONFIG)
    }

    /// The folder of one plugin's private files.
    pub(crate) fn private_folder(&self, role: Role) -> Result<PathBuf, PrepareError> {
        let folder = self.private.folder(role.as_str());
        folder.map_err(|source| {
            let path = self.private.path().join(role.as_str());
            PrepareError::Folder { path, source }
        })
    }

    /// Puts warnings into the attempt's log.
    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.log.line(LogSource::Runner, &format!("warning: {warning}"));
        }
    }
}

/// The name of a plugin's config file.
const CONFIG: &str = "config.json";

impl WorkFolder {
    fn create(path: &Path) -> Result<Self, PrepareError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| PrepareError::Folder { path: path.to_owned(), source })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a work folder stays behind");
        }
    }
}

/// What a plugin sees and may do. Its work folder is the attempt's, its private files are its own.
pub(crate) fn surroundings<'a>(
    context: &'a AttemptContext,
    private: &'a Path,
    files: Option<&'a Path>,
    part: &'a str,
) -> Surroundings<'a> {
    Surroundings {
        effective: &context.rights.effective,
        project: &context.project_root,
        writable: &context.rights.writable,
        hidden: &context.rights.hidden,
        files,
        work: &context.work_folder,
        private: Some(private),
        part,
    }
}
