//! The process and the machine, as the command line sees them.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use flexcore_api::{
    CommandEnvelope, DoctorReport, ErrorBody, SandboxReportView, SettingList, SettingView,
};
use flexcore_app::{
    BuiltInPlugin, Discovery, ProjectRights, RunnerOptions, Sample, discover, sample,
};
use flexcore_cli::{
    BuiltInDescription, ConformanceCheck, ConnectorDescription, DatabaseUrl, Host, HostError,
    HostErrorKind, Place, Reader, ServeAddress, ServeRequest, SettingFlags, StoreMigration,
    StoreStatus, Transfer, TransferEnd, Writer, masked_url,
};
use flexcore_ports::{
    Clock, DiscoveredPlugin, GrantsError, Ids, LogVerifier, PluginSource, StoredPlugin,
};
use flexcore_sync::SyncOptions;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoints,
    clock::{RandomIds, SystemClock},
    conformance,
    control::{self, Answer, Request},
    doctor,
    grants::GrantsFile,
    lease,
    observe::Observability,
    paths::StatePaths,
    plugin_files::{self, Tryout},
    plugins, reader, sandbox, serve, serving,
    settings::{Entry, LoadedSettings, Settings, Sources},
    store, transfer, writer,
};

/// How long the processes of an attempt may take to end after they were asked to: a target that
/// was asked to end still writes out what it holds.
const GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// This process on this machine.
#[derive(Debug)]
pub(crate) struct BinaryHost {
    environment: BTreeMap<String, String>,
    current_folder: PathBuf,
    executable: PathBuf,
    observability: Observability,
}

impl BinaryHost {
    /// Reads the environment and the working directory, once.
    pub(crate) fn of_this_process(observability: Observability) -> Self {
        let readable = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            environment: process_environment().filter_map(readable).collect(),
            current_folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            executable: std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into()),
            observability,
        }
    }

    /// The environment with what the project's `.env` adds.
    pub(crate) fn environment_of(&self, place: &Place) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<String, String> =
            place.project.dotenv.iter().cloned().collect();
        environment.extend(self.environment.clone());
        environment
    }

    pub(crate) fn runner_options(&self, place: &Place) -> Result<RunnerOptions, HostError> {
        Ok(RunnerOptions {
            node: node_name(),
            project_root: place.project.root.clone(),
            work_folder: StatePaths::new(&place.state_folder).work(),
            executable: self.executable.clone(),
            grace: GRACE,
            lease_ttl: lease::ttl(&self.environment_of(place))?,
        })
    }

    fn load_settings(
        &self,
        place: &Place,
        flags: &SettingFlags,
    ) -> Result<LoadedSettings, HostError> {
        Settings::load(Sources {
            environment: &self.environment,
            current_folder: &self.current_folder,
            state_folder: &place.state_folder,
            flags,
        })
    }

    /// The log, metrics and traces of this process.
    pub(crate) fn observability(&self) -> &Observability {
        &self.observability
    }

    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    pub(crate) fn sync_options(&self) -> SyncOptions {
        let folder = self.environment.get("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
        SyncOptions { runtime_folder: folder.map(PathBuf::from) }
    }

    /// The program that launchers are started from: this one, even after its file was replaced.
    pub(crate) fn launcher_program() -> PathBuf {
        "/proc/self/exe".into()
    }
}

/// The one place that reads the environment; from here on it is a value that is passed down.
fn process_environment() -> impl Iterator<Item = (OsString, OsString)> {
    #[expect(clippy::disallowed_methods, reason = "only the binary reads the environment, here")]
    std::env::vars_os()
}

/// This process as people find it: its machine and its number there.
pub(crate) fn node_name() -> String {
    format!("{}:{}", host_name(), std::process::id())
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Runs a native connector on this process's standard streams.
pub(crate) fn run_connector(name: &str, arguments: Vec<OsString>) -> ExitCode {
    let environment = flexcore_connectors::Environment::from_variables(process_environment());
    flexcore_connectors::run(name, arguments, &environment)
}

/// A setting as it is shown: what lies in a URL besides its place may be a password.
fn setting_view(entry: Entry) -> SettingView {
    let Entry { key, variable, value, origin } = entry;
    let value = match value {
        Value::String(text) if text.contains("://") => Value::String(masked_url(&text)),
        value => value,
    };
    SettingView { key, variable, value, origin: origin.to_string() }
}

/// A failure of the store or the system that has no kind of its own.
pub(crate) fn failed(message: impl Into<String>) -> HostError {
    HostError { kind: HostErrorKind::Failed, code: "FC0401", message: message.into(), hint: None }
}

#[async_trait]
impl Host for BinaryHost {
    fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    fn current_folder(&self) -> &Path {
        &self.current_folder
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    fn serving(&self, place: &Place) -> Option<String> {
        serving::read(&place.state_folder)
    }

    fn connectors(&self) -> Vec<ConnectorDescription> {
        let describe = |name: &'static str| {
            let about = flexcore_connectors::about(name)?;
            Some(ConnectorDescription { name, description: about.description })
        };
        flexcore_connectors::names().filter_map(describe).collect()
    }

    fn built_in_plugins(&self) -> Vec<BuiltInDescription> {
        let describe = |plugin: BuiltInPlugin| BuiltInDescription {
            name: plugin.manifest.name.clone(),
            kind: plugin.manifest.kind.as_str().to_owned(),
            version: plugin.manifest.version.clone(),
            description: plugin.manifest.description.clone().unwrap_or_default(),
        };
        plugins::built_in(&self.executable).into_iter().map(describe).collect()
    }

    async fn conformance(&self, folder: &Path) -> Result<(bool, Vec<ConformanceCheck>), HostError> {
        let scratch =
            Scratch::new(self).map_err(|error| failed(format!("no private folder: {error}")))?;
        conformance::look(folder, &self.environment, &scratch.0).await
    }

    fn run_connector(&self, name: &str, arguments: Vec<OsString>) -> ExitCode {
        run_connector(name, arguments)
    }

    fn rights(&self, place: &Place) -> Result<ProjectRights, HostError> {
        sandbox::rights(place, &self.environment_of(place))
    }

    fn grant(&self, place: &Place, lines: &str) -> Result<(), HostError> {
        let grants = GrantsFile::of(&self.environment_of(place), &place.state_folder);
        grants.append(lines).map_err(|GrantsError { code, message }| HostError {
            kind: HostErrorKind::Refused,
            code,
            message,
            hint: None,
        })
    }

    async fn sandbox_report(&self, place: &Place) -> Result<SandboxReportView, HostError> {
        sandbox::report(place.project.sandbox, &self.environment_of(place)).await
    }

    async fn doctor(&self, place: &Place) -> DoctorReport {
        let environment = self.environment_of(place);
        let sandbox = sandbox::report(place.project.sandbox, &environment).await;
        doctor::look(place, &environment, sandbox).await
    }

    fn secret_seed(&self) -> Result<[u8; 32], HostError> {
        checkpoints::secret_seed()
    }

    async fn write(&self, place: &Place, purpose: &str) -> Result<Writer, HostError> {
        writer::open(self, place, purpose).await
    }

    async fn read(&self, place: &Place) -> Result<Reader, HostError> {
        reader::open(self, place).await
    }

    async fn verifier(&self, place: &Place) -> Result<Arc<dyn LogVerifier>, HostError> {
        store::verifier(place).await
    }

    async fn transfer(&self, place: &Place, end: TransferEnd) -> Result<Transfer, HostError> {
        transfer::open(place, end).await
    }

    async fn store_status(&self, place: &Place) -> Result<StoreStatus, HostError> {
        store::status::of(place).await
    }

    async fn migrate(
        &self,
        url: &DatabaseUrl,
        app_role: Option<&str>,
    ) -> Result<StoreMigration, HostError> {
        store::status::migrated(url, app_role).await
    }

    async fn send(
        &self,
        place: &Place,
        envelope: CommandEnvelope,
    ) -> Result<Option<Result<Value, ErrorBody>>, HostError> {
        let request = Request::Command(envelope);
        let answer = control::ask(&place.state_folder, &request).await.map_err(|error| {
            failed(format!(
                "the process that writes {} does not answer: {error}",
                place.state_folder.display()
            ))
        })?;
        Ok(answer.map(|answer| match answer {
            Answer::Reply(reply) => Ok(reply),
            Answer::Error(error) => Err(error),
        }))
    }

    async fn serve(
        &self,
        place: &Place,
        request: ServeRequest,
        stop: CancellationToken,
    ) -> Result<(), HostError> {
        let ServeRequest { flags, ready } = request;
        let loaded = self.load_settings(place, &flags)?;
        let paths = StatePaths::new(&place.state_folder);
        let announced = Arc::new(AtomicBool::new(false));
        let ready = {
            let (paths, announced) = (paths.clone(), Arc::clone(&announced));
            Box::new(move |at: ServeAddress| {
                serving::announce(&paths, &at);
                announced.store(true, Ordering::Relaxed);
                ready(at);
            })
        };
        let again = || Ok(self.load_settings(place, &flags)?.settings.telemetry);
        let served = tokio::select! {
            // First: whoever is told that this listens may send a signal at once.
            biased;
            never = self.observability.follow_hangups(again) => match never {},
            served = serve::serve(self, place, loaded.settings, ready, stop) => served,
        };
        // What another server of this folder said is its own.
        if announced.load(Ordering::Relaxed) {
            serving::withdraw(&paths);
        }
        served
    }

    fn settings(&self, place: &Place, flags: &SettingFlags) -> Result<SettingList, HostError> {
        let LoadedSettings { entries, file, .. } = self.load_settings(place, flags)?;
        let file = file.map(|path| path.display().to_string());
        Ok(SettingList { file, items: entries.into_iter().map(setting_view).collect() })
    }

    fn database_setting(
        &self,
        state_folder: &Path,
        config: Option<&Path>,
    ) -> Result<Option<DatabaseUrl>, HostError> {
        let flags = SettingFlags { config: config.map(Path::to_owned), values: vec![] };
        let sources = Sources {
            environment: &self.environment,
            current_folder: &self.current_folder,
            state_folder,
            flags: &flags,
        };
        Ok(Settings::of_file(sources)?.store.database_url.as_deref().and_then(DatabaseUrl::parse))
    }

    async fn discover(&self, place: &Place, discovery: Discovery) -> Result<Value, HostError> {
        let tryout = Tryout::start(self, place, &discovery).await?;
        let catalog = discover(&tryout.ports, &tryout.options, discovery).await;
        tryout.end(catalog).await
    }

    async fn sample(
        &self,
        place: &Place,
        discovery: Discovery,
        records: u64,
    ) -> Result<Sample, HostError> {
        let tryout = Tryout::start(self, place, &discovery).await?;
        let read = sample(&tryout.ports, &tryout.options, discovery, records).await;
        tryout.end(read).await
    }

    async fn install_plugin(
        &self,
        place: &Place,
        source: &PluginSource,
        python: Option<&str>,
    ) -> Result<StoredPlugin, HostError> {
        plugin_files::install(self, place, source, python).await
    }

    async fn discover_plugins(
        &self,
        place: &Place,
        folder: &Path,
    ) -> Result<Vec<DiscoveredPlugin>, HostError> {
        plugin_files::discover(self, place, folder).await
    }
}

/// A private folder for something that leaves nothing behind.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(host: &BinaryHost) -> std::io::Result<Self> {
        let base = host.environment.get("TMPDIR").map_or("/tmp", String::as_str);
        let folder = Path::new(base).join(format!("flexcore-{}", RandomIds.next().simple()));
        rustix::fs::mkdir(&folder, rustix::fs::Mode::RWXU)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left would only be an empty folder of a program that is gone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
