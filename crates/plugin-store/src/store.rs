//! The port, on folders.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use flexcore_plugin_protocol::{ArchiveLimits, ContentDigest};
use flexcore_ports::{DiscoveredPlugin, PluginSource, PluginStore, PluginStoreError, StoredPlugin};

use crate::{
    archive, discover,
    error::StoreError,
    folder,
    kept::Seen,
    keys,
    python::{self, Interpreter, Package, PythonTools, Workshop},
    tree::{Staging, StagingError, discard, open_folder},
    verify::verify,
};

/// How a store of plugins behaves.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    /// What a plugin may have at most: files, and bytes.
    pub limits: ArchiveLimits,
    /// Whether only plugins are taken in that a trusted key signed.
    pub must_be_signed: bool,
}

/// Keeps plugins in folders named by their digests: `<root>/sha256/<digest>/`, read-only.
#[derive(Debug, Clone)]
pub struct FolderPluginStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// `<root>/sha256`.
    folders: PathBuf,
    /// What environments were made of, by digest: one that is locked is made again without network.
    wheels: PathBuf,
    /// `<root>/pypi`.
    programs: PathBuf,
    python: Option<PythonTools>,
    trusted_keys: PathBuf,
    options: StoreOptions,
    seen: Seen,
}

impl FolderPluginStore {
    /// A store in `root`, which is made when the first plugin is taken in. `trusted_keys` is a
    /// folder with a file `*.pub` for each key that the operator trusts; it need not exist.
    pub fn new(
        root: impl AsRef<Path>,
        trusted_keys: impl Into<PathBuf>,
        options: StoreOptions,
    ) -> Self {
        let inner = Inner {
            folders: root.as_ref().join("sha256"),
            wheels: root.as_ref().join("wheels"),
            programs: root.as_ref().join("pypi"),
            python: None,
            trusted_keys: trusted_keys.into(),
            options,
            seen: Seen::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same store, which makes environments of Python packages too.
    #[must_use]
    pub fn with_python(self, python: PythonTools) -> Self {
        let Inner { folders, wheels, programs, trusted_keys, options, .. } = &*self.inner;
        let inner = Inner {
            folders: folders.clone(),
            wheels: wheels.clone(),
            programs: programs.clone(),
            python: Some(python),
            trusted_keys: trusted_keys.clone(),
            options: options.clone(),
            seen: Seen::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    async fn install_package(
        &self,
        name: &str,
        version: &str,
        tools: &PythonTools,
    ) -> Result<StoredPlugin, StoreError> {
        let package = Package::new(name, version)
            .ok_or_else(|| not_built(name, version, "that is no package with an exact version"))?;
        let workshop =
            Workshop::new(&tools.work).map_err(|error| StoreError::write(&tools.work, error))?;
        let work = workshop.path().to_owned();
        let interpreter = Interpreter::find(tools, &work).await?;
        let store = &self.inner;
        let wheels = python::fetch(tools, &interpreter, &package, (&store.wheels, &work)).await?;
        let (of, by) = (package.clone(), interpreter.clone());
        let staging = self
            .worked(move |store| {
                store.collect(|limits, staging| python::collect(&of, &by, &wheels, limits, staging))
            })
            .await?;
        let modules =
            python::compiled(tools, (&package, &interpreter), &staging.path(), &work).await?;
        self.worked(move |store| {
            let mut staging = staging;
            python::add(&package, &modules, &mut staging)?;
            let kept = store.complete(Path::new(&package.to_string()), staging)?;
            store.link(&package, &kept)?;
            Ok(kept)
        })
        .await
    }

    async fn worked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        done.map_err(|error| StoreError::source("the plugin store", error))?
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PluginStoreError> {
        Ok(self.worked(work).await?)
    }
}

#[async_trait]
impl PluginStore for FolderPluginStore {
    async fn install(&self, source: &PluginSource) -> Result<StoredPlugin, PluginStoreError> {
        if let (PluginSource::Pypi { name, version }, Some(tools)) = (source, &self.inner.python) {
            return Ok(self.install_package(name, version, tools).await?);
        }
        let source = source.clone();
        self.blocking(move |store| match &source {
            PluginSource::Folder(path) => {
                store.take_in(path, |limits, staging| folder::copy(path, limits, staging))
            }
            PluginSource::Archive(path) => {
                store.take_in(path, |limits, staging| archive::unpack(path, limits, staging))
            }
            PluginSource::Pypi { name, version } => {
                Err(not_built(name, version, "this program has no Python to build it with"))
            }
        })
        .await
    }

    async fn find(&self, digest: &ContentDigest) -> Result<Option<StoredPlugin>, PluginStoreError> {
        let digest = *digest;
        self.blocking(move |store| store.find(&digest)).await
    }

    async fn find_program(&self, program: &Path) -> Result<Option<StoredPlugin>, PluginStoreError> {
        let program = program.to_owned();
        self.blocking(move |store| match store.digest_of(&program) {
            Some(digest) => store.find(&digest),
            None => Ok(None),
        })
        .await
    }

    async fn discover(&self, folder: &Path) -> Result<Vec<DiscoveredPlugin>, PluginStoreError> {
        let folder = folder.to_owned();
        self.blocking(move |_| discover::discover(&folder)).await
    }

    async fn remove(&self, digest: &ContentDigest) -> Result<(), PluginStoreError> {
        let digest = *digest;
        self.blocking(move |store| store.remove(&digest)).await
    }
}

impl Inner {
    /// Collects a plugin's files in an unfinished folder, verifies them and moves them to their
    /// place.
    pub(crate) fn take_in(
        &self,
        source: &Path,
        collect: impl FnOnce(ArchiveLimits, &mut Staging) -> Result<(), StoreError>,
    ) -> Result<StoredPlugin, StoreError> {
        let staging = self.collect(collect)?;
        self.complete(source, staging)
    }

    /// Collects a plugin's files in an unfinished folder.
    fn collect(
        &self,
        collect: impl FnOnce(ArchiveLimits, &mut Staging) -> Result<(), StoreError>,
    ) -> Result<Staging, StoreError> {
        let staging = Staging::new(&self.folders);
        let mut staging = staging.map_err(|error| StoreError::write(&self.folders, error))?;
        collect(self.options.limits, &mut staging).map_err(|error| self.place(error))?;
        Ok(staging)
    }

    /// Verifies what was collected and moves it to its place.
    fn complete(&self, source: &Path, staging: Staging) -> Result<StoredPlugin, StoreError> {
        let trusted = keys::read(&self.trusted_keys)?;
        let write = |error| StoreError::write(&self.folders, error);
        let verified = verify(source, &staging, &trusted)?;
        if self.options.must_be_signed && verified.signed_by.is_none() {
            let (name, keys) = (verified.manifest.name, self.trusted_keys.clone());
            return Err(StoreError::NotSigned { name, keys });
        }
        let digest = verified.listing.digest();
        self.seen.forget(&digest);
        let is_good = || self.find(&digest).is_ok_and(|kept| kept.is_some());
        let finished = staging.finish(&verified.listing, is_good);
        finished.map_err(|error| match error {
            StagingError::Read(error) | StagingError::Write(error) => write(error),
            StagingError::Length | StagingError::Link(_) => {
                write(std::io::Error::other("the listing was not written"))
            }
        })?;
        let kept = self.find(&digest)?;
        kept.ok_or_else(|| write(std::io::Error::other("it was removed at once")))
    }

    /// Leads from `<root>/pypi/NAME==VERSION` to the program of a package, so that project files need
    /// no digest.
    fn link(&self, package: &Package, kept: &StoredPlugin) -> Result<(), StoreError> {
        let Some(program) = kept.manifest.entrypoint.first() else { return Ok(()) };
        let folder = &self.programs;
        let link = folder.join(package.to_string());
        let target = format!("../sha256/{}/{program}", kept.digest);
        let unfinished = folder.join(format!(".{package}.{}", std::process::id()));
        let linked = std::fs::create_dir_all(folder)
            .and_then(|()| match std::fs::remove_file(&unfinished) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => std::os::unix::fs::symlink(target, &unfinished),
            })
            .and_then(|()| std::fs::rename(&unfinished, &link));
        linked.map_err(|error| StoreError::write(link, error))
    }

    fn find(&self, digest: &ContentDigest) -> Result<Option<StoredPlugin>, StoreError> {
        let trusted = keys::read(&self.trusted_keys)?;
        self.seen.find(&self.folders, digest, self.options.limits, &trusted)
    }

    /// The plugin in whose folder a program is, or the link to it that [`Self::link`] made.
    fn digest_of(&self, program: &Path) -> Option<ContentDigest> {
        // Only the folder: what lies in it may itself be a link, such as the Python of an environment.
        let folders = self.folders.canonicalize().ok()?;
        let target = match std::fs::read_link(program) {
            Ok(target) => program.parent()?.join(target),
            Err(_) => program.to_owned(),
        };
        let mut at = target.as_path();
        loop {
            let is_kept = at.parent().and_then(|parent| parent.canonicalize().ok());
            if is_kept.is_some_and(|parent| parent == folders) {
                return ContentDigest::parse(at.file_name()?.to_str()?);
            }
            at = at.parent()?;
        }
    }

    fn remove(&self, digest: &ContentDigest) -> Result<(), StoreError> {
        self.seen.forget(digest);
        let parent = match open_folder(&self.folders) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            parent => parent.map_err(|error| StoreError::source(&self.folders, error))?,
        };
        let name = digest.to_string();
        let path = self.folders.join(&name);
        discard(&parent, &path, &name).map_err(|error| StoreError::write(path, error))
    }

    /// Where in this store something could not be written.
    fn place(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Write { cause, .. } => StoreError::write(&self.folders, cause),
            other => other,
        }
    }
}

fn not_built(name: &str, version: &str, problem: &str) -> StoreError {
    StoreError::Build { package: format!("{name}=={version}"), problem: problem.to_owned() }
}
