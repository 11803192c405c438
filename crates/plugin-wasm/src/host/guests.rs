//! The guests that can be called, by plugin, rights and tenant, and where each runs.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use flexcore_plugin_protocol::{
    Capability, CapabilityPath, ContentDigest, Effective, KindDetails, PluginKind, WasmIsolation,
};
use flexcore_ports::CallablePlugin;
use flexcore_sandbox::Jailer;
use tokio::sync::mpsc;

use crate::{
    WasmOptions,
    cache::{Cache, Entry},
    compile::not_wasm,
    engine::Runtime,
    guest::{Guest, WasiRights},
    remote::{Kept, RunFolder, Worker, compile, start},
    task::{Failure, FailureKind},
    wire::Load,
};

/// Where a guest runs.
pub(super) enum Place {
    /// In this process.
    Here(Guest),
    /// In a process of its own.
    Worker(Worker),
}

/// The guests that can be called.
pub(super) struct Guests {
    jailer: Arc<Jailer>,
    options: Arc<WasmOptions>,
    slots: Mutex<HashMap<ContentDigest, Vec<Arc<Slot>>>>,
    cache: OnceLock<Cache>,
    here: [OnceLock<Runtime>; 2],
    folders: AtomicU64,
    ends: Ends,
}

/// Tells when the last worker has ended: each holds a sender.
struct Ends {
    sender: Mutex<Option<mpsc::Sender<Infallible>>>,
    receiver: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

impl Ends {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self { sender: Mutex::new(Some(sender)), receiver: tokio::sync::Mutex::new(receiver) }
    }
}

impl std::fmt::Debug for Guests {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Guests").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A guest with the same rights for the same tenant.
struct Slot {
    effective: Effective,
    /// Empty where the plugin says that it keeps nothing between calls.
    tenant: String,
    place: tokio::sync::Mutex<Option<Arc<Place>>>,
}

impl Guests {
    pub(super) fn new(jailer: Arc<Jailer>, options: WasmOptions) -> Self {
        Self {
            jailer,
            options: Arc::new(options),
            slots: Mutex::default(),
            cache: OnceLock::new(),
            here: Default::default(),
            folders: AtomicU64::new(0),
            ends: Ends::new(),
        }
    }

    /// Ends every worker, and returns when none is left. No call may be made afterwards.
    pub(super) async fn close(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(self.ends.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        while self.ends.receiver.lock().await.recv().await.is_some() {}
    }

    pub(super) fn options(&self) -> &WasmOptions {
        &self.options
    }

    /// Ends what is kept for a plugin, once its calls have ended.
    pub(super) fn release(&self, digest: &ContentDigest) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// Where a plugin can be called now; made ready if need be.
    pub(super) async fn place(&self, plugin: &CallablePlugin) -> Result<Arc<Place>, Failure> {
        let slot = self.slot(plugin);
        // Whoever comes while it is made ready waits for that.
        let mut place = slot.place.lock().await;
        if let Some(place) = place.as_ref().filter(|place| is_usable(place, plugin)) {
            return Ok(Arc::clone(place));
        }
        // One that is worn goes when its last call has ended.
        *place = None;
        let made = Arc::new(self.make(plugin).await?);
        *place = Some(Arc::clone(&made));
        Ok(made)
    }

    fn slot(&self, plugin: &CallablePlugin) -> Arc<Slot> {
        let is_shared = plugin.manifest.pool.reuse_across_tenants;
        let tenant = if is_shared { "" } else { &plugin.tenant };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = slots.entry(plugin.digest).or_default();
        let same = |slot: &&Arc<Slot>| {
            slot.tenant == tenant
                && slot.effective.capabilities == plugin.effective.capabilities
                && slot.effective.limits == plugin.effective.limits
        };
        if let Some(slot) = slots.iter().find(same) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            effective: plugin.effective.clone(),
            tenant: tenant.to_owned(),
            place: tokio::sync::Mutex::default(),
        });
        slots.push(Arc::clone(&slot));
        slot
    }

    async fn make(&self, plugin: &CallablePlugin) -> Result<Place, Failure> {
        let KindDetails::Wasm(wasm) = &plugin.manifest.details else {
            return Err(not_wasm("its manifest names another kind"));
        };
        let file = file_of(plugin)?;
        let counts_fuel = wasm.fuel.is_some();
        let kind = plugin.manifest.kind;
        let entry = self.entry(plugin, kind, counts_fuel)?;
        if !entry.path.exists() {
            self.compile(kind, counts_fuel, &file, &entry).await?;
        }
        let is_trusted = self.options.in_process.contains(&plugin.digest);
        let is_here = is_trusted && wasm.isolation == WasmIsolation::InProcess;
        let load = || self.load(plugin, is_here, &entry, counts_fuel);
        match load().await {
            // Somebody else's code, or half of ours: it is made again, once.
            Err(failure) if failure.kind == FailureKind::Cache => {
                if entry.is_good()? {
                    return Err(failure);
                }
                self.compile(kind, counts_fuel, &file, &entry).await?;
                load().await
            }
            loaded => loaded,
        }
    }

    fn entry(
        &self,
        plugin: &CallablePlugin,
        kind: PluginKind,
        counts_fuel: bool,
    ) -> Result<Entry, Failure> {
        let cache = if let Some(cache) = self.cache.get() {
            cache
        } else {
            let cache = Cache::open(&self.options.state_folder)?;
            self.cache.get_or_init(|| cache)
        };
        // The digest of the plugin says what each of its files holds.
        let program = plugin.manifest.entrypoint.first().map_or("", String::as_str);
        let file = ContentDigest::of(format!("{} {program}", plugin.digest).as_bytes());
        cache.entry(kind, &file, counts_fuel)
    }

    async fn compile(
        &self,
        kind: PluginKind,
        counts_fuel: bool,
        file: &Path,
        entry: &Entry,
    ) -> Result<(), Failure> {
        let budget = self.options.compile;
        let wasm = read(file, budget.file_bytes).await?;
        budget.check(kind, &wasm)?;
        let code = compile(&self.jailer, &self.options, kind, counts_fuel, &wasm).await?;
        let entry = entry.clone();
        let written = tokio::task::spawn_blocking(move || entry.write(&code)).await;
        written.map_err(|error| Failure::new(FailureKind::Cache, error.to_string()))?
    }

    async fn load(
        &self,
        plugin: &CallablePlugin,
        is_here: bool,
        entry: &Entry,
        counts_fuel: bool,
    ) -> Result<Place, Failure> {
        let folder = self.scratch(plugin)?;
        let rights = self.rights(plugin, folder.as_ref());
        let kind = plugin.manifest.kind;
        if is_here {
            let runtime = self.here(counts_fuel)?;
            let (entry, calls) = (entry.clone(), self.options.calls_in_process);
            let load = move || Guest::load(runtime, kind, &entry, rights, calls);
            let loaded = tokio::task::spawn_blocking(load).await;
            let loaded =
                loaded.map_err(|error| Failure::new(FailureKind::Worker, error.to_string()))?;
            return loaded.map(|guest| Place::Here(guest.keeping(folder)));
        }
        let load = Load {
            is_component: kind == PluginKind::WasmComponent,
            path: entry.path.clone(),
            key: entry.key,
            counts_fuel,
            calls: plugin.manifest.pool.max.clamp(1, 64),
            rights,
        };
        let ends = self.ends.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(ends) = ends else {
            return Err(Failure::new(FailureKind::Worker, "plugins are being ended"));
        };
        let kept = Kept { _folder: folder, _ends: ends };
        start(&self.jailer, &self.options, plugin, load, kept).await.map(Place::Worker)
    }

    fn here(&self, counts_fuel: bool) -> Result<Runtime, Failure> {
        let here = &self.here[usize::from(counts_fuel)];
        if let Some(runtime) = here.get() {
            return Ok(runtime.clone());
        }
        let runtime = Runtime::new(self.options.calls_in_process, counts_fuel)?;
        Ok(here.get_or_init(|| runtime).clone())
    }

    /// What the guest gets by WASI.
    fn rights(&self, plugin: &CallablePlugin, folder: Option<&RunFolder>) -> WasiRights {
        let mut rights =
            WasiRights { scratch: folder.map(|folder| folder.0.clone()), ..WasiRights::default() };
        for capability in plugin.effective.capabilities.iter() {
            match capability {
                Capability::FsRead(CapabilityPath::Machine(path)) => {
                    rights.folders.push((PathBuf::from(path), false));
                }
                Capability::FsWrite(CapabilityPath::Machine(path)) => {
                    rights.folders.push((PathBuf::from(path), true));
                }
                Capability::Env(name) => {
                    let known = self.options.environment.iter();
                    let value = known.filter(|(known, _)| known == name.as_str());
                    let value = value.filter_map(|(_, value)| value.to_str()).next_back();
                    if let Some(value) = value {
                        rights.environment.push((name.as_str().to_owned(), value.to_owned()));
                    }
                }
                Capability::Clock => rights.clock = true,
                _ => {}
            }
        }
        rights
    }

    /// The folder of private files, if the plugin may have any.
    fn scratch(&self, plugin: &CallablePlugin) -> Result<Option<RunFolder>, Failure> {
        let scratch = Capability::FsWrite(CapabilityPath::Scratch);
        if !plugin.effective.capabilities.cover(&scratch) {
            return Ok(None);
        }
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        let folder = self.options.run_folder.join(format!("{}-{number}", std::process::id()));
        make_private(&self.options.run_folder, &folder).map_err(|error| {
            let message = format!("the folder {} cannot be made: {error}", folder.display());
            Failure::new(FailureKind::Cache, message)
        })?;
        Ok(Some(RunFolder(folder)))
    }
}

fn is_usable(place: &Place, plugin: &CallablePlugin) -> bool {
    let pool = &plugin.manifest.pool;
    match place {
        Place::Here(_) => true,
        Place::Worker(worker) => {
            worker.is_alive() && !worker.is_worn(pool.max_uses.max(1), pool.max_age.duration())
        }
    }
}

/// A folder into which a worker can write, whoever it is, and into which nobody else gets: the one
/// above it is closed.
fn make_private(above: &Path, folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(above)?;
    std::fs::DirBuilder::new().create(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))
}

fn file_of(plugin: &CallablePlugin) -> Result<PathBuf, Failure> {
    let program = plugin.manifest.entrypoint.first();
    match (&plugin.folder, program) {
        (Some(folder), Some(program)) => Ok(folder.join(program)),
        _ => Err(not_wasm("this node does not have its files")),
    }
}

async fn read(file: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    use tokio::io::AsyncReadExt as _;
    let unreadable =
        |error: std::io::Error| not_wasm(&format!("{} cannot be read: {error}", file.display()));
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut wasm = Vec::new();
    opened.take(most + 1).read_to_end(&mut wasm).await.map_err(unreadable)?;
    if wasm.len() as u64 > most {
        let message = format!("it is larger than {most} bytes, which is too much to compile");
        return Err(Failure::new(FailureKind::TooLarge, message));
    }
    Ok(wasm)
}
