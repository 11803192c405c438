//! What every handler is given.

use std::{collections::BTreeMap, fmt, sync::Arc};

use flexcore_ports::{
    Artifacts, Clock, Coordinator, EventStore, Ids, LogControl, LogVerifier, Logs, RebuildViews,
    Secrets, Snapshots, StoreError, TraceSampler, ViewStore,
};

use crate::{
    LogSubscriptions, PluginPorts, ProjectRights, Projector, SnapshotPolicy, Start, Tailer,
    TailerOptions,
    access::{AccessCache, AuditLog},
    plugin::{CallQueues, PluginLifecycle},
    repository::AggregateCache,
};

/// The outside world, as the application sees it.
#[derive(Clone)]
pub struct Ports {
    /// The event log.
    pub store: Arc<dyn EventStore>,
    /// Proves and counts the log.
    pub verifier: Arc<dyn LogVerifier>,
    /// The views.
    pub views: Arc<dyn ViewStore>,
    /// Builds views anew.
    pub rebuild: Arc<dyn RebuildViews>,
    /// States of aggregates, stored now and then.
    pub snapshots: Arc<dyn Snapshots>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// Attempt logs.
    pub logs: Arc<dyn Logs>,
    /// Large outputs.
    pub artifacts: Arc<dyn Artifacts>,
    /// Leases: who may try to drive an execution.
    pub coordinator: Arc<dyn Coordinator>,
    /// Secret values.
    pub secrets: Arc<dyn Secrets>,
    /// The environment of this process, with what the project's `.env` adds.
    pub host_environment: Arc<BTreeMap<String, String>>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// What every handler and the runner are given.
#[derive(Debug)]
pub struct Services {
    pub(crate) ports: Ports,
    /// Folds the log into the views; `None` where this process may only read.
    pub(crate) projector: Option<Projector>,
    pub(crate) snapshot_policy: SnapshotPolicy,
    /// What decides what steps may do; without it they may do nothing but look at the project.
    pub(crate) rights: Option<ProjectRights>,
    /// Calls plugins; `None` where this process does not.
    pub(crate) plugins: Option<Arc<PluginLifecycle>>,
    /// Which traces of executions are recorded.
    pub(crate) sampler: TraceSampler,
    /// The program's own log; `None` where it cannot be changed.
    pub(crate) log_control: Option<Arc<dyn LogControl>>,
    /// Whether this process drives the executions that it creates.
    pub(crate) drives: bool,
    /// What is known of callers.
    pub(crate) access: AccessCache,
    /// The parts of the audit trail that this process writes.
    pub(crate) audit: AuditLog,
    /// Aggregates that nearly every request needs.
    pub(crate) aggregates: AggregateCache,
    /// What calls of plugins by hand are about to record.
    pub(crate) calls: CallQueues,
}

impl Services {
    /// For a process that writes: views are brought up to date before they are read.
    pub fn writing(ports: Ports) -> Self {
        let projector = Projector::new(Arc::clone(&ports.store), Arc::clone(&ports.views));
        Self {
            ports,
            projector: Some(projector),
            snapshot_policy: SnapshotPolicy::default(),
            rights: None,
            plugins: None,
            sampler: TraceSampler::OFF,
            log_control: None,
            drives: true,
            access: AccessCache::default(),
            audit: AuditLog::default(),
            aggregates: AggregateCache::default(),
            calls: CallQueues::default(),
        }
    }

    /// For a process that may only read.
    pub fn reading(ports: Ports) -> Self {
        Self {
            ports,
            projector: None,
            snapshot_policy: SnapshotPolicy::NEVER,
            rights: None,
            plugins: None,
            sampler: TraceSampler::OFF,
            log_control: None,
            drives: true,
            access: AccessCache::default(),
            audit: AuditLog::default(),
            aggregates: AggregateCache::default(),
            calls: CallQueues::default(),
        }
    }

    /// The same with another policy of snapshots.
    #[must_use]
    pub fn with_snapshots(self, snapshot_policy: SnapshotPolicy) -> Self {
        Self { snapshot_policy, ..self }
    }

    /// The same, for a process that drives the executions that it creates, or leaves them to others.
    #[must_use]
    pub fn driving(self, drives: bool) -> Self {
        Self { drives, ..self }
    }

    /// The same, with what decides what steps may do.
    #[must_use]
    pub fn with_rights(self, rights: ProjectRights) -> Self {
        Self { rights: Some(rights), ..self }
    }

    /// The same, and able to call plugins.
    #[must_use]
    pub fn with_plugins(self, ports: PluginPorts) -> Self {
        let ports = ports.masked(&self.ports.secrets);
        Self { plugins: Some(Arc::new(PluginLifecycle::new(ports))), ..self }
    }

    /// The same, with a share of traces that is recorded.
    #[must_use]
    pub fn with_sampler(self, sampler: TraceSampler) -> Self {
        Self { sampler, ..self }
    }

    /// The same, with the program's own log.
    #[must_use]
    pub fn with_log_control(self, log: Arc<dyn LogControl>) -> Self {
        Self { log_control: Some(log), ..self }
    }

    /// Brings the views up to date, if this process writes them.
    ///
    /// # Errors
    /// [`ProjectionError`](crate::ProjectionError) as a store error.
    pub async fn catch_up(&self) -> Result<(), crate::UseCaseError> {
        match &self.projector {
            Some(projector) => Ok(projector.catch_up().await?),
            None => Ok(()),
        }
    }

    /// Whether programs of steps get home folders of their own.
    pub(crate) fn has_private_homes(&self) -> bool {
        self.rights.as_ref().is_some_and(|rights| rights.private_home)
    }

    pub(crate) fn host_environment(&self) -> &BTreeMap<String, String> {
        &self.ports.host_environment
    }

    /// The one tailer of this process, to be run beside everything that follows the log.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tailer(&self) -> Result<(Tailer, LogSubscriptions), StoreError> {
        let store = Arc::clone(&self.ports.store);
        Tailer::new(store, TailerOptions::default()).await
    }

    /// Keeps the views up to date for as long as the log is tailed; at once where this process only
    /// reads.
    ///
    /// # Errors
    /// The projection stopped, or the tailer did.
    pub async fn follow(&self, log: LogSubscriptions) -> Result<(), crate::ProjectionError> {
        let Some(projector) = &self.projector else { return Ok(()) };
        projector.follow(log.subscribe(Start::Now).await?).await
    }

    /// The ports that it was made with.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }
}
