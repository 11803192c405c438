//! What only the binary can do: it knows the adapters, the command line does not.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use async_trait::async_trait;
use flexcore_api::{CommandEnvelope, DoctorReport, ErrorBody, SandboxReportView, SettingList};
use flexcore_app::{
    CommandBus, Discovery, LogSubscriptions, ProjectRights, QueryBus, Runner, Sample, Services,
};
use flexcore_pipeline_file::Project;
use flexcore_ports::{
    Clock, DiscoveredPlugin, LogTransfer, LogVerifier, PluginSource, StoredPlugin,
};
use serde_json::Value;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{ConformanceCheck, DatabaseUrl, StoreAddress, StoreMigration, StoreStatus};

/// The process and the machine around a verb, as the binary wires them.
#[async_trait]
pub trait Host: Send + Sync {
    /// The environment of the process.
    fn environment(&self) -> &BTreeMap<String, String>;

    /// The working directory of the process; relative paths on the command line start here.
    fn current_folder(&self) -> &Path;

    /// The time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// The URL of the server that has the store of a place, if it said where it answers.
    fn serving(&self, _place: &Place) -> Option<String> {
        None
    }

    /// The native connectors.
    fn connectors(&self) -> Vec<ConnectorDescription>;

    /// The plugins that come with FlexCore.
    fn built_in_plugins(&self) -> Vec<BuiltInDescription> {
        vec![]
    }

    /// Whether the plugin in a folder keeps the protocol of process plugins, and works in a jail: the
    /// verdict, and what was looked at. Its programs run as the user who asks.
    ///
    /// # Errors
    /// [`HostError`] if nothing could be looked at.
    async fn conformance(&self, folder: &Path) -> Result<(bool, Vec<ConformanceCheck>), HostError>;

    /// Runs a native connector as the Singer program that it is, on the standard streams of this
    /// process. Blocks until its end.
    fn run_connector(&self, name: &str, arguments: Vec<OsString>) -> ExitCode;

    /// What decides the rights of a project's steps on this machine.
    ///
    /// # Errors
    /// [`HostError`] if the operator's settings are wrong.
    fn rights(&self, place: &Place) -> Result<ProjectRights, HostError>;

    /// Adds lines to the operator's grants for a place.
    ///
    /// # Errors
    /// [`HostError`] if the file cannot be written, or is not what such a file holds; it is left as
    /// it was then.
    fn grant(&self, place: &Place, lines: &str) -> Result<(), HostError>;

    /// What a jail enforces on this machine, found out by trying.
    ///
    /// # Errors
    /// [`HostError`] if it cannot be tried.
    async fn sandbox_report(&self, place: &Place) -> Result<SandboxReportView, HostError>;

    /// Looks at everything that a run needs.
    async fn doctor(&self, place: &Place) -> DoctorReport;

    /// Random bytes of the system that nobody can guess, for a new key.
    ///
    /// # Errors
    /// [`HostError`] if the system has none.
    fn secret_seed(&self) -> Result<[u8; 32], HostError>;

    /// Opens the store of a place to write: takes its lock, makes the folder if there is none,
    /// starts the launcher and answers the control socket until the writer is closed. `purpose`
    /// is what others are told who are refused meanwhile, for example ``run of `flights` ``.
    ///
    /// # Errors
    /// [`HostErrorKind::Held`] if another process writes; the others as their kinds say.
    async fn write(&self, place: &Place, purpose: &str) -> Result<Writer, HostError>;

    /// Opens the store of a place to read, beside a live writer or alone, with views that are as
    /// new as the log.
    ///
    /// # Errors
    /// [`HostErrorKind::Absent`] if nothing was ever written there; nothing is made then.
    async fn read(&self, place: &Place) -> Result<Reader, HostError>;

    /// What proves the log of a place. The store is not opened for it: nothing is brought up to
    /// date or repaired before it is looked at, and a store that no longer opens is told why.
    ///
    /// # Errors
    /// [`HostErrorKind::Absent`] if nothing was ever written there.
    async fn verifier(&self, place: &Place) -> Result<Arc<dyn LogVerifier>, HostError>;

    /// Opens the log of a place to copy batches out of it or into it. A destination is made if it is
    /// not there, and nobody else writes it meanwhile.
    ///
    /// # Errors
    /// [`HostError`].
    async fn transfer(&self, place: &Place, end: TransferEnd) -> Result<Transfer, HostError>;

    /// What holds of the store of a place, which is not opened for it.
    ///
    /// # Errors
    /// [`HostError`] if there is none, or it cannot be looked at.
    async fn store_status(&self, place: &Place) -> Result<StoreStatus, HostError>;

    /// Brings the schema of a database to what this program needs, and gives a role the rights of
    /// the application.
    ///
    /// # Errors
    /// [`HostError`].
    async fn migrate(
        &self,
        url: &DatabaseUrl,
        app_role: Option<&str>,
    ) -> Result<StoreMigration, HostError>;

    /// Sends a command to the live writer of a place; `None` if there is none, and the caller may
    /// open the store itself. The inner result is the command's.
    ///
    /// # Errors
    /// [`HostError`] if there is a writer and it cannot be talked to.
    async fn send(
        &self,
        place: &Place,
        envelope: CommandEnvelope,
    ) -> Result<Option<Result<Value, ErrorBody>>, HostError>;

    /// The settings with which a server of a place would serve, and where each came from.
    ///
    /// # Errors
    /// [`HostErrorKind::Refused`] if a source has what cannot be.
    fn settings(&self, place: &Place, flags: &SettingFlags) -> Result<SettingList, HostError>;

    /// The database that the settings of a server with this state folder name; `config` is their
    /// file, if it was named.
    ///
    /// # Errors
    /// [`HostErrorKind::Refused`] if the file has what cannot be.
    fn database_setting(
        &self,
        _state_folder: &Path,
        _config: Option<&Path>,
    ) -> Result<Option<DatabaseUrl>, HostError> {
        Ok(None)
    }

    /// Serves the store of a place over HTTP, and drives its executions, until `stop` fires and
    /// what was under way has ended.
    ///
    /// # Errors
    /// [`HostErrorKind::Refused`] if it may not listen there; others as for [`Host::write`].
    async fn serve(
        &self,
        place: &Place,
        request: ServeRequest,
        stop: CancellationToken,
    ) -> Result<(), HostError>;

    /// The catalog of a sync step's tap: its discovery with the step's `select`, `metadata` and
    /// `schema` applied. Nothing is recorded and the store is not locked.
    ///
    /// # Errors
    /// [`HostError`] if the settings cannot be rendered or the tap cannot discover.
    async fn discover(&self, place: &Place, discovery: Discovery) -> Result<Value, HostError>;

    /// Reads so many records by a sync step and throws them away. Nothing is recorded and the store
    /// is not locked.
    ///
    /// # Errors
    /// [`HostError`] if the settings cannot be rendered or the sync fails before.
    async fn sample(
        &self,
        place: &Place,
        discovery: Discovery,
        records: u64,
    ) -> Result<Sample, HostError>;

    /// Takes a plugin into the plugin store of a place; it is not registered by that. `python` is the
    /// interpreter of a package.
    ///
    /// # Errors
    /// [`HostError`] if it cannot be read, verified, built or kept.
    async fn install_plugin(
        &self,
        place: &Place,
        source: &PluginSource,
        python: Option<&str>,
    ) -> Result<StoredPlugin, HostError>;

    /// The plugins that a folder offers.
    ///
    /// # Errors
    /// [`HostError`] if the folder cannot be read.
    async fn discover_plugins(
        &self,
        place: &Place,
        folder: &Path,
    ) -> Result<Vec<DiscoveredPlugin>, HostError>;
}

/// What is asked of a server on the command line.
pub struct ServeRequest {
    /// What was said there; everything else comes from the settings.
    pub flags: SettingFlags,
    /// Told once requests are answered: where.
    pub ready: Box<dyn FnOnce(ServeAddress) + Send>,
}

/// Settings that were said on the command line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingFlags {
    /// The file of settings.
    pub config: Option<PathBuf>,
    /// Settings that win over it and over the environment.
    pub values: Vec<SettingFlag>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingFlag {
    /// Its key, for example `server.port`.
    pub key: &'static str,
    /// The flag, for example `--port`.
    pub flag: &'static str,
    /// What it is to be.
    pub value: Value,
}

/// Where a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeAddress {
    /// The address, with the real port.
    pub address: SocketAddr,
    /// Whether it is spoken to over TLS.
    pub is_encrypted: bool,
    /// The file with the token that requests carry.
    pub token_file: PathBuf,
}

impl fmt::Debug for ServeRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServeRequest").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// What a native connector is, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorDescription {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub description: &'static str,
}

/// What a plugin that comes with FlexCore is, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltInDescription {
    /// Its name.
    pub name: String,
    /// How it is run.
    pub kind: String,
    /// Its version.
    pub version: String,
    /// What it does, in one sentence.
    pub description: String,
}

/// A project and the store that belongs to it.
#[derive(Debug)]
pub struct Place {
    /// The project; one without a `flexcore.yaml` is empty but for its root.
    pub project: Project,
    /// What belongs to this machine: the embedded store, logs, artifacts, locks. `.flexcore` in the
    /// project root unless another folder was chosen for the embedded store. Need not exist.
    pub state_folder: PathBuf,
    /// Where executions are recorded.
    pub store: StoreAddress,
}

/// A store that is open to write. Only one process of a state folder has it at a time.
pub struct Writer {
    /// What handlers and the runner are given; here for its ports.
    pub services: Arc<Services>,
    /// Takes commands.
    pub commands: CommandBus,
    /// Takes queries.
    pub queries: QueryBus,
    /// Drives executions.
    pub runner: Runner,
    /// The log as it grows.
    pub log: LogSubscriptions,
    /// Lets go of the store.
    pub closing: Box<dyn CloseStore>,
}

impl Writer {
    /// Ends every process of the launcher, writes out the log and releases the lock.
    ///
    /// # Errors
    /// [`HostError`] if the store did not close cleanly; what was appended is durable all the same.
    pub async fn close(self) -> Result<(), HostError> {
        let Self { services, commands, queries, runner, log, closing } = self;
        drop((services, commands, queries, runner, log));
        closing.close().await
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// The end of a [`Writer`].
#[async_trait]
pub trait CloseStore: Send + Sync {
    /// Ends every process of the launcher, writes out the log and releases the lock.
    ///
    /// # Errors
    /// [`HostError`] if the store did not close cleanly.
    async fn close(self: Box<Self>) -> Result<(), HostError>;
}

/// Which end of a copy a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEnd {
    /// Batches are read from it.
    Source,
    /// Batches are written into it.
    Destination,
}

/// A log that is open to be copied.
pub struct Transfer {
    /// Reads or writes batches, as it was opened for.
    pub log: Arc<dyn LogTransfer>,
    /// Lets go of the store.
    pub closing: Box<dyn CloseStore>,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transfer").finish_non_exhaustive()
    }
}

/// A store that is open to read.
#[derive(Debug)]
pub struct Reader {
    /// Here for its ports: the logs of attempts.
    pub services: Arc<Services>,
    /// Takes queries.
    pub queries: QueryBus,
}

/// What kept the host from doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct HostError {
    /// What kind of failure it is; decides the exit code.
    pub kind: HostErrorKind,
    /// Stable code, with a page in `docs/errors`.
    pub code: &'static str,
    /// What happened and where.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Kinds of [`HostError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostErrorKind {
    /// Another process writes this store.
    Held {
        /// Its process id, if it could be told.
        pid: Option<u32>,
        /// What it does, in its own words.
        purpose: Option<String>,
    },
    /// There is no store there yet.
    Absent,
    /// The store was written by a newer version.
    NewerVersion,
    /// The folder cannot be written.
    ReadOnly,
    /// What was asked for is not possible with these settings, for example a tap that is not
    /// there; the store is fine.
    Refused,
    /// Anything else of the store or the system.
    Failed,
}

impl HostError {
    /// The form in which callers see it.
    pub fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code.to_owned(),
            message: self.message.clone(),
            hint: self.hint.clone(),
        }
    }
}
