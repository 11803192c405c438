//! The files of plugins on this node.

use std::path::PathBuf;

use async_trait::async_trait;
use flexcore_plugin_protocol::{ContentDigest, Manifest};
use thiserror::Error;

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginSource {
    /// A folder with a `plugin.toml`.
    Folder(PathBuf),
    /// An archive of such a folder: `.tar`, `.tar.gz` or `.zip`.
    Archive(PathBuf),
    /// A package of the Python Package Index that brings a program of the same name.
    Pypi {
        /// The package.
        name: String,
        /// Its exact version.
        version: String,
    },
}

/// A plugin whose files lie in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPlugin {
    /// What it is.
    pub manifest: Manifest,
    /// The text of its manifest.
    pub manifest_text: String,
    /// What its files are.
    pub digest: ContentDigest,
    /// Where they lie; nobody writes there any more.
    pub folder: PathBuf,
    /// The JSON Schema of its settings, if it has one.
    pub config_schema: Option<serde_json::Value>,
    /// The id of the trusted key that signed it.
    pub signed_by: Option<String>,
}

/// A plugin that a folder offers, or why it cannot be one.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveredPlugin {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest, or everything that is wrong with it.
    pub manifest: Result<Manifest, String>,
}

/// Why a plugin is not in the store.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PluginStoreError {
    /// The stable code; the page is in `docs/errors`.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
}

/// Keeps the verified files of plugins by their digest.
#[async_trait]
pub trait PluginStore: Send + Sync {
    /// Takes a plugin in: reads and verifies it, and copies its files where nobody can change them.
    /// Taking it in twice changes nothing.
    ///
    /// # Errors
    /// [`PluginStoreError`]: its manifest, digest, signature or archive is wrong, or it cannot be
    /// built or written.
    async fn install(&self, source: &PluginSource) -> Result<StoredPlugin, PluginStoreError>;

    /// A plugin that was taken in, verified again; `None` if this node does not have it.
    ///
    /// # Errors
    /// [`PluginStoreError`] if its files are no longer what the digest says.
    async fn find(&self, digest: &ContentDigest) -> Result<Option<StoredPlugin>, PluginStoreError>;

    /// The plugin whose program a path leads to, verified again; `None` if it leads to none of this
    /// store's.
    ///
    /// # Errors
    /// [`PluginStoreError`] if its files are no longer what the digest says.
    async fn find_program(
        &self,
        program: &std::path::Path,
    ) -> Result<Option<StoredPlugin>, PluginStoreError>;

    /// The plugins in a folder: each of its folders that has a `plugin.toml`, or itself.
    ///
    /// # Errors
    /// [`PluginStoreError`] if the folder cannot be read.
    async fn discover(
        &self,
        folder: &std::path::Path,
    ) -> Result<Vec<DiscoveredPlugin>, PluginStoreError>;

    /// Removes the files of a plugin, if they are there.
    ///
    /// # Errors
    /// [`PluginStoreError`] if they cannot be removed.
    async fn remove(&self, digest: &ContentDigest) -> Result<(), PluginStoreError>;
}
