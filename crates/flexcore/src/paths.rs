//! Where things lie in the state folder of a project.

use std::path::{Path, PathBuf};

/// The state folder of a project: the store and everything beside it.
#[derive(Debug, Clone)]
pub(crate) struct StatePaths {
    folder: PathBuf,
}

impl StatePaths {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.folder.join("artifacts")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.folder.join("node")
    }

    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    pub(crate) fn trusted_keys(&self) -> PathBuf {
        self.folder.join("trusted-keys")
    }

    pub(crate) fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    pub(crate) fn serving(&self) -> PathBuf {
        self.folder.join("serving")
    }

    pub(crate) fn launcher_lock(&self) -> PathBuf {
        self.folder.join("launcher.lock")
    }
}
