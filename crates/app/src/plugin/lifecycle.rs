//! The way of every call of a plugin in this process: circuit, bounds, first start, call.

mod time;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flexcore_plugin_protocol::ContentDigest;
use flexcore_ports::{
    AttemptLog, CallablePlugin, ConfigProblem, PluginCall, PluginEnd, PluginError, PluginHost,
    PluginSchema, metric,
};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use self::time::Time;
use super::{
    PluginPorts,
    circuit::{Admission, Circuit, Consequence},
    error::{self, cancelled, refused},
};

/// How long after its last call a plugin is still looked after.
const LATELY: Duration = Duration::from_mins(1);

/// Calls plugins of all kinds.
#[derive(Debug)]
pub(crate) struct PluginLifecycle {
    pub(super) ports: PluginPorts,
    time: Arc<Time>,
    starts: Semaphore,
    calls: Semaphore,
    known: Mutex<HashMap<Key, Arc<Known>>>,
}

/// What shares processes and so shares its luck.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    digest: String,
    rights: String,
    tenant: String,
}

/// A plugin with certain rights, as far as this process has come across it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) plugin: CallablePlugin,
    circuit: Mutex<Circuit>,
    /// What it said when it was started first; locked while it is being started.
    detail: tokio::sync::Mutex<Option<String>>,
    visits: Mutex<Visits>,
}

/// Who is with a plugin.
#[derive(Debug, Default)]
struct Visits {
    /// How many calls and questions are under way.
    now: usize,
    /// When the last one ended.
    last_end: Option<Duration>,
}

/// What came of asking a plugin, and what follows for it.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    /// What came of it.
    pub(crate) answer: T,
    /// What it said of itself, if this was what started it first.
    pub(crate) started: Option<String>,
    /// What to tell an operator, if it is in a crash loop.
    pub(crate) crash_loop: Option<String>,
}

/// A call that may go on.
struct Visit<'a> {
    host: &'a Arc<dyn PluginHost>,
    known: Arc<Known>,
    started: Option<String>,
    _presence: Presence,
    _room: SemaphorePermit<'a>,
}

/// Counts a visit while it lasts.
struct Presence {
    known: Arc<Known>,
    time: Arc<Time>,
}

impl Presence {
    fn with(known: &Arc<Known>, time: &Arc<Time>) -> Self {
        known.visits().now += 1;
        Self { known: Arc::clone(known), time: Arc::clone(time) }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut visits = self.known.visits();
        visits.now -= 1;
        visits.last_end = Some(self.time.now());
    }
}

/// A call that may not, and what that says about the plugin.
struct TurnedAway {
    error: PluginError,
    crash_loop: Option<String>,
}

impl From<PluginError> for TurnedAway {
    fn from(error: PluginError) -> Self {
        Self { error, crash_loop: None }
    }
}

impl<T> From<TurnedAway> for Asked<Result<T, PluginError>> {
    fn from(away: TurnedAway) -> Self {
        Self { answer: Err(away.error), started: None, crash_loop: away.crash_loop }
    }
}

impl PluginLifecycle {
    pub(crate) fn new(ports: PluginPorts) -> Self {
        Self {
            time: Arc::new(Time::start()),
            starts: Semaphore::new(ports.bounds.starts.max(1)),
            calls: Semaphore::new(ports.bounds.calls.max(1)),
            known: Mutex::default(),
            ports,
        }
    }

    /// Who calls plugins of this one's kind.
    fn host(&self, plugin: &CallablePlugin) -> Result<&Arc<dyn PluginHost>, PluginError> {
        let kind = plugin.manifest.kind;
        self.ports.hosts.get(&kind).ok_or_else(|| {
            refused(
                error::NOT_CALLABLE,
                format!(
                    "plugin `{}` is of kind `{}`, which this program does not call; Singer \
                     plugins run in `sync` steps, programs in `command` steps",
                    plugin.manifest.name,
                    kind.as_str()
                ),
            )
        })
    }

    /// Carries out a call.
    pub(crate) async fn execute(
        &self,
        plugin: &CallablePlugin,
        call: PluginCall,
        log: Arc<dyn AttemptLog>,
        cancel: CancellationToken,
    ) -> Asked<PluginEnd> {
        let visit = match self.admitted(plugin, &cancel).await {
            Ok(visit) => visit,
            Err(away) => {
                let TurnedAway { error, crash_loop } = away;
                return Asked { answer: PluginEnd::refused(error), started: None, crash_loop };
            }
        };
        let end = visit.host.execute(plugin, call, log, cancel).await;
        let crash_loop = self.learn(&visit.known, end.outcome.as_ref().err(), true);
        Asked { answer: end, started: visit.started, crash_loop }
    }

    /// Starts it, if it is not.
    pub(crate) async fn initialize(
        &self,
        plugin: &CallablePlugin,
    ) -> Asked<Result<(), PluginError>> {
        match self.admitted(plugin, &CancellationToken::new()).await {
            Ok(visit) => self.answered(visit, Ok(())),
            Err(away) => away.into(),
        }
    }

    /// What is wrong with settings, in its own eyes.
    pub(crate) async fn validate(
        &self,
        plugin: &CallablePlugin,
        config: &Value,
    ) -> Asked<Result<Vec<ConfigProblem>, PluginError>> {
        match self.admitted(plugin, &CancellationToken::new()).await {
            Ok(visit) => {
                let answer = visit.host.validate(plugin, config).await;
                self.answered(visit, answer)
            }
            Err(away) => away.into(),
        }
    }

    /// Its schemas.
    pub(crate) async fn schema(
        &self,
        plugin: &CallablePlugin,
        config: Option<&Value>,
    ) -> Asked<Result<PluginSchema, PluginError>> {
        match self.admitted(plugin, &CancellationToken::new()).await {
            Ok(visit) => {
                let answer = visit.host.schema(plugin, config).await;
                self.answered(visit, answer)
            }
            Err(away) => away.into(),
        }
    }

    /// Whether it can be called, whatever its circuit says.
    pub(crate) async fn health(&self, plugin: &CallablePlugin) -> Result<(), PluginError> {
        self.host(plugin)?.health(plugin).await
    }

    /// Ends what is kept for it, and forgets how its calls went.
    pub(crate) async fn release(&self, digest: &ContentDigest) {
        let text = digest.to_string();
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .extract_if(|key, _| key.digest == text)
                .map(|(_, known)| known)
                .collect::<Vec<_>>()
        };
        let kinds: std::collections::BTreeSet<_> =
            known.iter().map(|known| known.plugin.manifest.kind).collect();
        for host in kinds.iter().filter_map(|kind| self.ports.hosts.get(kind)) {
            host.release(digest).await;
        }
    }

    /// The plugins that this process has started, that nobody is with now, and that somebody was
    /// with lately: a call says more than a question, and what is no longer used may end.
    pub(super) async fn waiting(&self) -> Vec<Arc<Known>> {
        let now = self.now();
        let all: Vec<Arc<Known>> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.values().filter(|known| known.waits(now)).cloned().collect()
        };
        let mut started = Vec::new();
        for known in all {
            if known.detail.lock().await.is_some() {
                started.push(known);
            }
        }
        started
    }

    fn answered<T>(
        &self,
        visit: Visit<'_>,
        answer: Result<T, PluginError>,
    ) -> Asked<Result<T, PluginError>> {
        let crash_loop = self.learn(&visit.known, answer.as_ref().err(), false);
        Asked { answer, started: visit.started, crash_loop }
    }

    /// Waits until a call may go on, and starts the plugin if nobody did.
    async fn admitted(
        &self,
        plugin: &CallablePlugin,
        cancel: &CancellationToken,
    ) -> Result<Visit<'_>, TurnedAway> {
        let host = self.host(plugin)?;
        let known = self.known(plugin);
        loop {
            match known.admit(self.now()) {
                Admission::Go => break,
                Admission::Wait(wait) => {
                    let ended = cancel.run_until_cancelled(self.time.wait(wait)).await;
                    ended.ok_or_else(cancelled)?;
                }
                Admission::Open(left) => return Err(is_open(plugin, left).into()),
            }
        }
        let given_up = |known: &Known| {
            known.circuit().was_given_up(self.now());
            TurnedAway::from(cancelled())
        };
        let Some(Ok(room)) = cancel.run_until_cancelled(self.calls.acquire()).await else {
            return Err(given_up(&known));
        };
        let start = self.start(host, &known);
        let started = match cancel.run_until_cancelled(start).await {
            Some(Ok(started)) => started,
            Some(Err(error)) => {
                let crash_loop = self.learn(&known, Some(&error), false);
                return Err(TurnedAway { error, crash_loop });
            }
            None => return Err(given_up(&known)),
        };
        let presence = Presence::with(&known, &self.time);
        Ok(Visit { host, known, started, _presence: presence, _room: room })
    }

    /// What it said of itself, if this started it.
    async fn start(
        &self,
        host: &Arc<dyn PluginHost>,
        known: &Known,
    ) -> Result<Option<String>, PluginError> {
        let mut detail = known.detail.lock().await;
        if detail.is_some() {
            return Ok(None);
        }
        // Nobody closes it.
        let _room = self.starts.acquire().await.map_err(|_| cancelled())?;
        let description = host.initialize(&known.plugin).await?;
        let said = description.detail;
        *detail = Some(said.clone());
        Ok(Some(said))
    }

    /// Learns from how a call went. What to tell an operator, if that is a crash loop.
    fn learn(&self, known: &Known, error: Option<&PluginError>, is_call: bool) -> Option<String> {
        let now = self.now();
        match error {
            Some(error) if error.is_fault => {
                let mut circuit = known.circuit();
                let was_open = circuit.is_open();
                let consequence = circuit.failed(now, fastrand::f64());
                if !was_open && circuit.is_open() {
                    metrics::counter!(metric::PLUGIN_CIRCUIT_OPENINGS.name).increment(1);
                }
                let Consequence::CrashLoop(faults) = consequence else { return None };
                Some(format!("it failed {faults} times in a row, the last time so: {error}"))
            }
            Some(error) if error.cancelled => {
                known.circuit().was_given_up(now);
                None
            }
            // That it starts and answers questions says little: many fail only at their work.
            None if !is_call => {
                known.circuit().was_given_up(now);
                None
            }
            _ => {
                known.circuit().went_well();
                None
            }
        }
    }

    fn known(&self, plugin: &CallablePlugin) -> Arc<Known> {
        let key = Key {
            digest: plugin.digest.to_string(),
            rights: plugin.effective.digest().to_string(),
            tenant: plugin.tenant.clone(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let one = known.entry(key).or_insert_with(|| {
            Arc::new(Known {
                plugin: plugin.clone(),
                circuit: Mutex::default(),
                detail: tokio::sync::Mutex::default(),
                visits: Mutex::default(),
            })
        });
        Arc::clone(one)
    }

    fn now(&self) -> Duration {
        self.time.now()
    }
}

impl Known {
    fn visits(&self) -> std::sync::MutexGuard<'_, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self, now: Duration) -> bool {
        let visits = self.visits();
        let lately = |end| now.saturating_sub(end) < LATELY;
        visits.now == 0 && visits.last_end.is_some_and(lately)
    }

    fn circuit(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, now: Duration) -> Admission {
        self.circuit().admit(now)
    }
}

fn is_open(plugin: &CallablePlugin, left: Duration) -> PluginError {
    let name = &plugin.manifest.name;
    let left = left.as_secs_f64().ceil();
    let message = format!(
        "plugin `{name}` failed too often in the last minute and is left alone for another {left} \
         s; `flexcore plugin show {name}` and its log say how it failed"
    );
    refused(error::CIRCUIT_OPEN, message)
}

#[cfg(test)]
mod quarantine;
#[cfg(test)]
mod tests;
