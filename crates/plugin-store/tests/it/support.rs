//! A plugin on disk and a store beside it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use flexcore_plugin_store::{FolderPluginStore, StoreOptions};
use flexcore_ports::{PluginSource, PluginStore as _, PluginStoreError, StoredPlugin};
use tempfile::TempDir;

pub(crate) const MANIFEST: &str = r#"manifest = 1
[plugin]
name = "greeter"
version = "1.0.0"
kind = "grpc"
type = "processor"
entrypoint = ["bin/greeter"]
[config]
schema = "config.schema.json"
"#;

pub(crate) struct Stage {
    pub(crate) temporary: TempDir,
    pub(crate) store: FolderPluginStore,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    pub(crate) fn with(options: StoreOptions) -> Self {
        let temporary = TempDir::new().unwrap();
        let root = temporary.path().join("state/plugins");
        let keys = temporary.path().join("state/trusted-keys");
        Self { store: FolderPluginStore::new(root, keys, options), temporary }
    }

    /// The folder of a good plugin.
    pub(crate) fn plugin(&self) -> PathBuf {
        let folder = self.path("greeter");
        write(&folder.join("plugin.toml"), MANIFEST, 0o644);
        write(&folder.join("config.schema.json"), "{\"type\":\"object\"}", 0o644);
        write(&folder.join("bin/greeter"), "#!/bin/sh\necho hello\n", 0o755);
        write(&folder.join("lib/words.txt"), "hello\n", 0o600);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    pub(crate) fn folders(&self) -> PathBuf {
        self.path("state/plugins/sha256")
    }

    pub(crate) async fn install(&self, path: &Path) -> Result<StoredPlugin, PluginStoreError> {
        let source = if path.is_dir() {
            PluginSource::Folder(path.to_owned())
        } else {
            PluginSource::Archive(path.to_owned())
        };
        self.store.install(&source).await
    }

    /// What lies in the store; nothing unfinished among it.
    pub(crate) fn kept(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folders()) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The store's folders are read-only, and a temporary folder is removed by its owner.
        open_up(self.temporary.path());
    }
}

fn open_up(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
