//! The repository as the checks see it: its root, its files, its manifests.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Deserialize;

/// Folders that hold what programs made, not what people wrote.
const GENERATED_FOLDERS: &[&str] = &[".git", ".cache", ".venv", ".flexcore", "target", "out"];

/// A checkout of this repository.
pub(crate) struct Repository {
    root: PathBuf,
    packages: Vec<Package>,
}

/// A workspace member, as `cargo metadata` tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a manifest's dependency tables.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
    /// Set when it lies in the workspace.
    path: Option<PathBuf>,
}

impl Dependency {
    /// Whether only tests see it.
    pub(crate) fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    /// Whether it is one of our own crates.
    pub(crate) fn is_ours(&self) -> bool {
        self.path.is_some()
    }

    #[cfg(test)]
    pub(crate) fn new(name: &str, kind: Option<&str>, ours: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            path: ours.then(|| PathBuf::from(name)),
        }
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

impl Repository {
    /// The repository around the current folder.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .output()
            .context("cannot run cargo metadata; is cargo on the PATH?")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
        Ok(Self { root: metadata.workspace_root, packages: metadata.packages })
    }

    /// A repository without packages, for checks that only look at files.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), packages: Vec::new() }
    }

    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Where a file of the repository lies.
    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.root.join(file)
    }

    /// The text of a file, named relative to the root.
    pub(crate) fn read(&self, file: impl AsRef<Path>) -> anyhow::Result<String> {
        let file = file.as_ref();
        fs::read_to_string(self.path(file))
            .with_context(|| format!("cannot read {}", file.display()))
    }

    /// The same path, relative to the root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Every file that people wrote, relative to the root and in a stable order.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
                let kind = entry
                    .file_type()
                    .with_context(|| format!("cannot look at {}", entry.path().display()))?;
                if kind.is_dir() && !is_generated(&entry.file_name()) {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.push(self.relative(&entry.path()).to_owned());
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

fn is_generated(folder: &OsStr) -> bool {
    GENERATED_FOLDERS.iter().any(|name| folder == OsStr::new(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_folders_are_not_walked() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["src/lib.rs", "target/debug/build.rs", "examples/a/out/rows.jsonl", "b.md"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let files = Repository::at(folder.path()).files().unwrap();
        assert_eq!(files, [PathBuf::from("b.md"), PathBuf::from("src/lib.rs")]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Repository::at(folder.path()).read("ARCHITECTURE.md").unwrap_err();
        assert_eq!(error.to_string(), "cannot read ARCHITECTURE.md");
    }
}
