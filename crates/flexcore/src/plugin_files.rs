//! Plugins before they are registered: looked for, taken in, and taps tried out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use flexcore_app::{DiscoverPorts, Discovery, RunnerOptions, Services, UseCaseError};
use flexcore_cli::{HostError, HostErrorKind, Place};
use flexcore_pipeline_file::ResolvedStep;
use flexcore_plugin_store::{FolderPluginStore, PythonTools, StoreOptions};
use flexcore_ports::{DiscoveredPlugin, PluginSource, PluginStore, PluginStoreError, StoredPlugin};
use flexcore_sandbox::{Jailer, Launcher, SandboxPolicy};
use flexcore_sync::PumpSyncRunner;

use crate::{
    clock::SystemClock,
    host::{BinaryHost, Scratch, failed},
    paths::StatePaths,
    reader, sandbox, secrets, writer,
};

/// The lock file of a project's packages.
const LOCK_FILE: &str = "plugins.lock";
/// The interpreter of packages.
const PYTHON: &str = "FLEXCORE_PYTHON";
/// Set to `1`, only plugins are taken in that a trusted key signed.
const SIGNED_ONLY: &str = "FLEXCORE_SIGNED_PLUGINS";

/// The files of the plugins of a place.
pub(crate) fn store(
    paths: &StatePaths,
    environment: &BTreeMap<String, String>,
) -> FolderPluginStore {
    let must_be_signed = environment.get(SIGNED_ONLY).is_some_and(|word| word == "1");
    let options = StoreOptions { must_be_signed, ..StoreOptions::default() };
    FolderPluginStore::new(paths.plugins(), paths.trusted_keys(), options)
}

/// What building environments of packages takes.
pub(crate) fn python_tools(
    (paths, place): (&StatePaths, &Place),
    environment: &BTreeMap<String, String>,
    (jailer, policy): (Arc<Jailer>, SandboxPolicy),
    python: Option<&str>,
) -> PythonTools {
    PythonTools {
        jailer,
        policy,
        environment: environment.clone(),
        python: python.map(str::to_owned).or_else(|| environment.get(PYTHON).cloned()),
        lock_file: Some(place.project.root.join(LOCK_FILE)),
        work: paths.work().join("install"),
    }
}

pub(crate) async fn install(
    host: &BinaryHost,
    place: &Place,
    source: &PluginSource,
    python: Option<&str>,
) -> Result<StoredPlugin, HostError> {
    let environment = host.environment_of(place);
    let paths = StatePaths::new(&place.state_folder);
    let store = store(&paths, &environment);
    if !matches!(source, PluginSource::Pypi { .. }) {
        return store.install(source).await.map_err(refused);
    }
    let scratch = scratch(host)?;
    let launcher = writer::start_launcher(&scratch.0.join("launcher.lock")).await?;
    let holding = (sandbox::jailer(&launcher), sandbox::policy_of(place, &environment)?);
    let mut tools = python_tools((&paths, place), &environment, holding, python);
    tools.work = scratch.0.join("install");
    let installed = store.with_python(tools).install(source).await;
    launcher.shut_down().await;
    installed.map_err(refused)
}

pub(crate) async fn discover(
    host: &BinaryHost,
    place: &Place,
    folder: &Path,
) -> Result<Vec<DiscoveredPlugin>, HostError> {
    let paths = StatePaths::new(&place.state_folder);
    store(&paths, &host.environment_of(place)).discover(folder).await.map_err(refused)
}

/// What a tap is tried out with: no store, nothing is recorded.
pub(crate) struct Tryout {
    pub(crate) ports: DiscoverPorts,
    pub(crate) options: RunnerOptions,
    launcher: Launcher,
    /// Removed when it is over.
    _scratch: Scratch,
}

impl Tryout {
    pub(crate) async fn start(
        host: &BinaryHost,
        place: &Place,
        discovery: &Discovery,
    ) -> Result<Self, HostError> {
        let scratch = scratch(host)?;
        let environment = Arc::new(host.environment_of(place));
        let policy = sandbox::policy_of(place, &environment)?;
        let rights = sandbox::rights(place, &environment)?;
        let work_folder: PathBuf = scratch.0.clone();
        let options = RunnerOptions { work_folder, ..host.runner_options(place)? };
        let launcher = writer::start_launcher(&scratch.0.join("launcher.lock")).await?;
        let jailer = sandbox::jailer(&launcher);
        let jailer = sandbox::project_jailer(jailer, policy, &environment);
        let secrets = secrets::of(place, &environment, None)?;
        host.observability().hide(secrets.mask());
        let ports = DiscoverPorts {
            syncs: Arc::new(PumpSyncRunner::new(jailer, host.sync_options())),
            secrets,
            clock: Arc::new(SystemClock),
            rights,
            host_environment: environment,
            registered: registered(host, place, discovery).await,
        };
        Ok(Self { ports, options, launcher, _scratch: scratch })
    }

    /// Ends every process, and words what came of it.
    pub(crate) async fn end<T>(self, outcome: Result<T, UseCaseError>) -> Result<T, HostError> {
        self.launcher.shut_down().await;
        outcome.map_err(|error| {
            let body = error.body();
            let (message, hint) = (body.message, body.hint);
            HostError { kind: HostErrorKind::Refused, code: error.code(), message, hint }
        })
    }
}

/// What knows the plugins that are registered, if one of them is named and there is a store.
async fn registered(
    host: &BinaryHost,
    place: &Place,
    discovery: &Discovery,
) -> Option<Arc<Services>> {
    let names = discovery.resolved.steps.iter().flat_map(ResolvedStep::registered_plugins);
    names.flatten().next()?;
    match reader::open(host, place).await {
        Ok(reader) => Some(reader.services),
        Err(error) => {
            tracing::debug!(%error, "no registered plugin is known");
            None
        }
    }
}

fn scratch(host: &BinaryHost) -> Result<Scratch, HostError> {
    Scratch::new(host).map_err(|error| failed(format!("no private folder: {error}")))
}

fn refused(error: PluginStoreError) -> HostError {
    let PluginStoreError { code, message } = error;
    HostError { kind: HostErrorKind::Refused, code, message, hint: None }
}
