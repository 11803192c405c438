//! Opening a store to write, and everything that runs beside it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use flexcore_app::{
    CommandBus, LogSubscriptions, Ports, Projector, QueryBus, Runner, Services, Tailer,
};
use flexcore_artifacts::{FolderArtifacts, FolderLogs, LogOptions};
use flexcore_cli::{CloseStore, HostError, Place, Writer};
use flexcore_plugin_command::JailedCommandRunner;
use flexcore_ports::Secrets;
use flexcore_sandbox::{IsolationPolicy, Launcher, LauncherOptions};
use flexcore_sync::PumpSyncRunner;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    checkpoints::{CheckpointSettings, RunningCheckpoints},
    clock::{RandomIds, SystemClock},
    control::ControlServer,
    host::{BinaryHost, failed},
    lease::LauncherDeadline,
    observe::{CountedRequests, Watched},
    paths::StatePaths,
    plugins::{PluginSetting, Plugins},
    sandbox, secrets,
    settings::secrets::VaultSettings,
    store::{self, OpenStore},
};

/// How long the launcher of an earlier run may take to end its processes.
const LAUNCHER_PATIENCE: Duration = Duration::from_mins(1);

/// What a store is opened for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    /// What whoever is refused meanwhile is told.
    pub(crate) purpose: &'a str,
    /// Whether the views follow the log; otherwise whoever asks for a list brings them up to date.
    pub(crate) projects: bool,
    /// Whether executions that are created here are driven here.
    pub(crate) drives: bool,
    /// The operator's own Vault, which a server may have.
    pub(crate) vault: Option<&'a VaultSettings>,
}

pub(crate) async fn open(
    host: &BinaryHost,
    place: &Place,
    purpose: &str,
) -> Result<Writer, HostError> {
    let opening = Opening { purpose, projects: true, drives: true, vault: None };
    open_for(host, place, opening).await
}

pub(crate) async fn open_for(
    host: &BinaryHost,
    place: &Place,
    opening: Opening<'_>,
) -> Result<Writer, HostError> {
    let paths = StatePaths::new(&place.state_folder);
    let options = host.runner_options(place)?;
    let environment = Arc::new(host.environment_of(place));
    let policy = sandbox::policy_of(place, &environment)?;
    let checkpoints = CheckpointSettings::of(&environment, &place.project.root)?;
    let store = store::for_writing(place, opening.purpose).await?;
    // The folder's lock is ours: whatever an earlier run left behind is ended before anything runs.
    let launcher = start_launcher(&paths.launcher_lock()).await?;
    clear(&paths.work());
    let observability = host.observability();
    let secrets = secrets::of(place, &environment, opening.vault)?;
    let mut parts = Parts::new(&paths, &store, secrets, &environment);
    observability.hide(parts.ports.secrets.mask());
    parts.ports.store = observability.traced(parts.ports.store);
    let artifacts = FolderArtifacts::new(paths.artifacts());
    if let Err(error) = artifacts.remove_unfinished() {
        tracing::warn!(%error, "unfinished artifacts are left behind");
    }
    let jailer = sandbox::jailer(&launcher);
    let mut plugins = Plugins::new(PluginSetting {
        paths: &paths,
        place,
        executable: &options.executable,
        environment: &environment,
        secrets: Arc::clone(&parts.ports.secrets),
        jailer: Arc::clone(&jailer),
        policy: policy.clone(),
    })
    .map_err(|error| failed(format!("there is no place for the sockets of plugins: {error}")))?;
    observability.watch(Watched::new(&jailer, &plugins.processes(), store.connections()));
    let services = Services::writing(parts.ports)
        .driving(opening.drives)
        .with_rights(sandbox::rights(place, &environment)?)
        .with_plugins(plugins.ports.clone())
        .with_sampler(observability.sampler())
        .with_log_control(observability.log());
    let services = Arc::new(services);
    plugins.watch(Arc::clone(&services));
    let commands = CommandBus::new(Arc::clone(&services), Arc::new(CountedRequests));
    let queries = QueryBus::new(Arc::clone(&services), Arc::new(CountedRequests));
    let jailer = sandbox::project_jailer(jailer, policy, &environment);
    let runner = Runner::new(
        Arc::clone(&services),
        Arc::new(JailedCommandRunner::new(jailer.clone())),
        Arc::new(PumpSyncRunner::new(jailer, host.sync_options())),
        Arc::new(LauncherDeadline(launcher.clone())),
        options,
    );
    let control = ControlServer::listen(paths.folder(), Arc::clone(&services), commands.clone())
        .map_err(|error| failed(format!("the control socket cannot be made: {error}")))?;
    let (tailer, log) = services.tailer().await.map_err(|error| failed(chain(&error)))?;
    let following = Following::start(tailer, opening.projects.then(|| log.clone()), &services);
    let checkpoints = checkpoints.map(|settings| {
        let events = Arc::clone(&store.events);
        RunningCheckpoints::start(settings, events, &launcher, &environment)
    });
    let (logs, work) = (parts.logs, paths.work());
    let closing = Closing { store, launcher, plugins, control, following, checkpoints, logs, work };
    Ok(Writer { services, commands, queries, runner, log, closing: Box::new(closing) })
}

/// Removes the private folders of attempts. To be called while none is alive: what is there was
/// left by attempts that were killed, and may hold what nobody else should see.
fn clear(work: &Path) {
    match std::fs::remove_dir_all(work) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %work.display(), %error, "folders of attempts are left behind");
        }
        _ => {}
    }
}

/// What follows the log while the store is open: the tailer, and the views.
struct Following {
    end: CancellationToken,
    tailer: JoinHandle<()>,
    projection: JoinHandle<()>,
}

impl Following {
    fn start(tailer: Tailer, views: Option<LogSubscriptions>, services: &Arc<Services>) -> Self {
        let end = CancellationToken::new();
        let token = end.clone();
        let tailer = tokio::spawn(async move {
            if let Err(error) = tailer.run(token).await {
                tracing::warn!(%error, "the log is no longer followed");
            }
        });
        let services = Arc::clone(services);
        // A list brings the views up to date besides.
        let projection = tokio::spawn(async move {
            let Some(log) = views else { return };
            if let Err(error) = services.follow(log).await {
                tracing::warn!(%error, "the views no longer follow the log");
            }
        });
        Self { end, tailer, projection }
    }

    async fn stop(self) {
        let Self { end, tailer, projection } = self;
        projection.abort();
        end.cancel();
        // They were told to end or have ended; either way they hold the store no longer.
        let _ = tokio::join!(projection, tailer);
    }
}

/// The ports that writers and readers share.
pub(crate) struct Parts {
    pub(crate) ports: Ports,
    pub(crate) logs: Arc<FolderLogs>,
}

impl Parts {
    pub(crate) fn new(
        paths: &StatePaths,
        store: &OpenStore,
        secrets: Arc<dyn Secrets>,
        environment: &Arc<BTreeMap<String, String>>,
    ) -> Self {
        let clock = Arc::new(SystemClock);
        let logs =
            FolderLogs::new(paths.logs(), secrets.mask(), clock.clone(), LogOptions::default());
        let logs = Arc::new(logs);
        let ports = Ports {
            store: Arc::clone(&store.events),
            verifier: Arc::clone(&store.verifier),
            views: Arc::clone(&store.views),
            rebuild: Arc::clone(&store.rebuild),
            snapshots: Arc::clone(&store.snapshots),
            clock,
            ids: Arc::new(RandomIds),
            logs: Arc::clone(&logs) as Arc<dyn flexcore_ports::Logs>,
            artifacts: Arc::new(FolderArtifacts::new(paths.artifacts())),
            coordinator: Arc::clone(&store.coordinator),
            secrets,
            host_environment: Arc::clone(environment),
        };
        Self { ports, logs }
    }
}

pub(crate) async fn start_launcher(lock: &Path) -> Result<Launcher, HostError> {
    let options = LauncherOptions {
        executable: BinaryHost::launcher_program(),
        lock_path: lock.to_owned(),
        lock_patience: LAUNCHER_PATIENCE,
        environment: vec![],
        isolation: IsolationPolicy::default(),
    };
    Launcher::start(options).await.map_err(|error| failed(chain(&error)))
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// What a writer lets go of, in order.
struct Closing {
    store: OpenStore,
    launcher: Launcher,
    plugins: Plugins,
    control: ControlServer,
    following: Following,
    checkpoints: Option<RunningCheckpoints>,
    logs: Arc<FolderLogs>,
    work: PathBuf,
}

#[async_trait]
impl CloseStore for Closing {
    async fn close(self: Box<Self>) -> Result<(), HostError> {
        let Self { store, launcher, plugins, control, following, checkpoints, logs, work } = *self;
        drop(control);
        following.stop().await;
        let projector = Projector::new(Arc::clone(&store.events), Arc::clone(&store.views));
        if let Err(error) = projector.catch_up().await {
            tracing::warn!(%error, "the views do not follow the log");
        }
        drop(projector);
        // Everything is in the log by now; a program that takes the last one needs the launcher.
        if let Some(checkpoints) = checkpoints {
            checkpoints.finish().await;
        }
        plugins.close().await;
        launcher.shut_down().await;
        clear(&work);
        logs.flush();
        store.close().await
    }
}
