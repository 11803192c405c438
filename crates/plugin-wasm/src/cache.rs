//! Compiled code on disk: `<state folder>/wasm-cache/<name>.cwasm`, each file with a keyed hash.
//!
//! Compiled code is machine code that is run as it is, so nothing is loaded that this host did not
//! write: a file ends with the BLAKE3 hash of what comes before, keyed for its name by the host's
//! own key (`<state folder>/wasm-cache.key`, 0600). Whoever can write the folder but not read the
//! key, or brings a folder along from elsewhere, can at most have things compiled again. The hash is
//! at the end because the engine maps the file from its first byte.
//!
//! [`load_module`] and [`load_component`] are this crate's only unsafe calls: they give the engine
//! a file whose hash was checked through the same descriptor.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use flexcore_plugin_protocol::{ContentDigest, PluginKind};
use wasmtime::{Engine, Module, component::Component};

use crate::{
    engine,
    task::{Failure, FailureKind},
};

/// The length of a keyed hash, and of a key.
pub(crate) const HASH: usize = 32;
const CHUNK: usize = 256 << 10;
/// Distinguishes files that one process writes at one time.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// A folder of compiled code.
#[derive(Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; HASH],
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// The place of one compiled guest.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The file; it may not exist.
    pub(crate) path: PathBuf,
    /// The key of this file alone, of no use for any other.
    pub(crate) key: [u8; HASH],
}

impl Cache {
    /// The cache of a state folder; its folder and key are made if missing.
    pub(crate) fn open(state_folder: &Path) -> Result<Self, Failure> {
        let folder = state_folder.join("wasm-cache");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| unusable(&folder, &error))?;
        let path = state_folder.join("wasm-cache.key");
        let key = host_key(&path).map_err(|error| unusable(&path, &error))?;
        Ok(Self { folder, key })
    }

    /// The place of a guest that is compiled from these bytes. Another version or setting of the
    /// engine has another place.
    pub(crate) fn entry(
        &self,
        kind: PluginKind,
        wasm: &ContentDigest,
        counts_fuel: bool,
    ) -> Result<Entry, Failure> {
        let engine = engine::compatibility(counts_fuel)?;
        let name = format!("{}-{wasm}-{engine:016x}", kind.as_str());
        let key = *blake3::keyed_hash(&self.key, name.as_bytes()).as_bytes();
        Ok(Entry { path: self.folder.join(name).with_extension("cwasm"), key })
    }
}

impl Entry {
    /// Whether it holds what this host compiled. Anything else there is removed.
    pub(crate) fn is_good(&self) -> Result<bool, Failure> {
        match open(&self.path, &self.key) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "compiled code is not ours; compiling again");
                let removed = fs::remove_file(&self.path);
                removed.map_err(|error| unusable(&self.path, &error)).map(|()| false)
            }
        }
    }

    /// Writes compiled code there.
    pub(crate) fn write(&self, code: &[u8]) -> Result<(), Failure> {
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let temporary = self.path.with_extension(format!("{}-{number}", std::process::id()));
        let write = || -> io::Result<()> {
            // Workers are other users; the folder above keeps everybody else out.
            let mut file = options().write(true).create_new(true).mode(0o444).open(&temporary)?;
            file.write_all(code)?;
            file.write_all(blake3::keyed_hash(&self.key, code).as_bytes())?;
            file.set_permissions(fs::Permissions::from_mode(0o444))?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)
        };
        write().map_err(|error| {
            // What is left of it is in nobody's way but the disk's.
            let _ = fs::remove_file(&temporary);
            unusable(&self.path, &error)
        })
    }
}

/// Loads a module that this host compiled.
pub(crate) fn load_module(engine: &Engine, entry: &Entry) -> Result<Module, Failure> {
    let file = authentic(entry)?;
    #[expect(
        unsafe_code,
        reason = "the one way to run code that was compiled before; only our own code comes here"
    )]
    // SAFETY: the file is what this host's compiler wrote, unchanged: its keyed hash was checked
    // through this very descriptor, and only this host can write to its folder.
    let loaded = unsafe { Module::deserialize_open_file(engine, file) };
    loaded.map_err(|error| other_engine(&entry.path, &error))
}

/// Loads a component that this host compiled.
pub(crate) fn load_component(engine: &Engine, entry: &Entry) -> Result<Component, Failure> {
    let file = authentic(entry)?;
    let same_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    #[expect(
        unsafe_code,
        reason = "the one way to run code that was compiled before; only our own code comes here"
    )]
    // SAFETY: as in `load_module`; the path names the descriptor that was checked, which is open
    // until the end of this function.
    let loaded = unsafe { Component::deserialize_file(engine, same_file) };
    loaded.map_err(|error| other_engine(&entry.path, &error))
}

fn authentic(entry: &Entry) -> Result<File, Failure> {
    open(&entry.path, &entry.key).map_err(|error| unusable(&entry.path, &error))
}

fn other_engine(path: &Path, error: &wasmtime::Error) -> Failure {
    let message =
        format!("{} cannot be loaded: {error:#}; remove it and try again", path.display());
    Failure::new(FailureKind::Cache, message)
}

/// Opens a file whose hash is right.
fn open(path: &Path, key: &[u8; HASH]) -> io::Result<File> {
    let mut file = options().read(true).open(path)?;
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused("it is no regular file"));
    }
    let length = metadata.len().checked_sub(HASH as u64);
    let mut left = length.ok_or_else(|| refused("it is too short"))?;
    let mut hasher = blake3::Hasher::new_keyed(key);
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        file.read_exact(&mut chunk[..wanted])?;
        hasher.update(&chunk[..wanted]);
        left -= wanted as u64;
    }
    let mut said = [0; HASH];
    file.read_exact(&mut said)?;
    // Comparing hashes of this kind takes the same time whatever they are.
    if hasher.finalize() != blake3::Hash::from_bytes(said) {
        return Err(refused("this host did not write it"));
    }
    file.rewind()?;
    Ok(file)
}

/// Files of the cache are never links.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    options.custom_flags(no_links.bits().cast_signed());
    options
}

/// Reads the host's key, made at random the first time.
fn host_key(path: &Path) -> io::Result<[u8; HASH]> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let mut key = [0; HASH];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let temporary = path.with_extension(format!("{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    // Whoever comes first wins; the others take what is there.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(path)?.ok_or_else(|| io::ErrorKind::NotFound.into()),
    }
}

fn read_key(path: &Path) -> io::Result<Option<[u8; HASH]>> {
    let mut file = match options().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let refused = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return refused("others than its owner may read it, so it is no secret; remove it");
    }
    if metadata.len() != HASH as u64 {
        return refused("it is no key; remove it");
    }
    let mut key = [0; HASH];
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("compiled WebAssembly cannot be kept at {}: {error}", path.display());
    Failure::new(FailureKind::Cache, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(folder: &Path) -> Entry {
        let cache = Cache::open(folder).unwrap();
        cache.entry(PluginKind::WasmExtism, &ContentDigest::of(b"wasm"), false).unwrap()
    }

    #[test]
    fn code_of_this_host_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(folder.path());
        assert!(!one.is_good().unwrap());
        one.write(b"code").unwrap();
        assert!(entry(folder.path()).is_good().unwrap(), "the key is the same");
        let key = fs::metadata(folder.path().join("wasm-cache.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn code_of_anybody_else_is_removed() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (entry(here.path()), entry(there.path()));
        theirs.write(b"code").unwrap();
        for bytes in [fs::read(&theirs.path).unwrap(), b"short".to_vec(), vec![0; 100], vec![]] {
            fs::write(&ours.path, bytes).unwrap();
            assert!(authentic(&ours).is_err());
            assert!(!ours.is_good().unwrap());
            assert!(!ours.path.exists());
        }
    }

    #[test]
    fn a_changed_byte_and_a_link_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let entry = entry(folder.path());
        entry.write(b"code").unwrap();
        let mut bytes = fs::read(&entry.path).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&entry.path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &entry.path).unwrap();
        assert!(authentic(&entry).is_err(), "a link");
        fs::remove_file(&entry.path).unwrap();
        bytes[0] ^= 1;
        fs::write(&entry.path, bytes).unwrap();
        assert!(authentic(&entry).is_err(), "a changed byte");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wasm-cache.key");
        fs::write(&path, [7; HASH]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Cache::open(folder.path()).unwrap_err();
        assert_eq!(error.kind, FailureKind::Cache);
        assert!(error.message.contains("others than its owner"), "{}", error.message);
    }
}
