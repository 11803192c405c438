//! Processes of one plugin that are kept ready: already in their jails, connected to and asked who
//! they are.
//!
//! A call gets the process that worked last, if it has the call's settings and is not busy, so that
//! the others can go. Processes end after so many calls, at an age, after a fault, and when nobody
//! needed them for a while.

mod keeper;
mod member;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use flexcore_ports::{CallablePlugin, metric};
use flexcore_sandbox::Jailer;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use crate::{
    ProcessOptions,
    config::{Settings, SettingsMark},
    error::Fault,
    process::PluginProcess,
    start::{StartFailure, start},
};
pub(crate) use member::Lease;
use member::Member;

/// Tells the processes of one server apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The processes of one plugin with the same files and rights, for one tenant.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) plugin: CallablePlugin,
    jailer: Arc<Jailer>,
    options: Arc<ProcessOptions>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one that worked last is the last.
    members: Vec<Member>,
    starting: u32,
    /// Who waits for a process, the first first.
    waiting: VecDeque<oneshot::Sender<()>>,
    is_closed: bool,
}

/// What a call does next.
enum Turn {
    /// Use this process.
    Take(Lease),
    /// Start one.
    Start,
    /// Wait for one.
    Wait(oneshot::Receiver<()>),
}

impl Pool {
    pub(crate) fn new(
        plugin: CallablePlugin,
        jailer: Arc<Jailer>,
        options: Arc<ProcessOptions>,
    ) -> Arc<Self> {
        let pool = Arc::new(Self { plugin, jailer, options, state: Mutex::default() });
        keeper::keep(&pool);
        pool
    }

    pub(crate) fn options(&self) -> &ProcessOptions {
        &self.options
    }

    /// A process for one call with these settings; `None` asks for any process, for a question that
    /// has nothing to do with settings.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        settings: Option<&Settings<'_>>,
        deadline: Instant,
    ) -> Result<Lease, StartFailure> {
        let mark = settings.map(Settings::mark);
        loop {
            let mut lease = match self.turn(mark)? {
                Turn::Take(lease) => lease,
                Turn::Start => self.start(mark).await?,
                Turn::Wait(freed) => {
                    let waited = timeout_at(deadline, freed).await;
                    if waited.is_err() {
                        self.forget_the_impatient();
                        return Err(self.busy("and none became free in time").into());
                    }
                    continue;
                }
            };
            match lease.prepare(settings, mark).await {
                Ok(true) => return Ok(lease),
                // It died while it waited for work; there may be another.
                Ok(false) => lease.spoil(),
                Err(failure) => {
                    lease.spoil();
                    return Err(failure);
                }
            }
        }
    }

    /// Starts processes until there are so many.
    pub(crate) async fn warm(self: &Arc<Self>, count: u32) -> Result<(), StartFailure> {
        while self.reserve_up_to(count.min(self.plugin.manifest.pool.max)) {
            drop(self.start(None).await?);
        }
        Ok(())
    }

    fn turn(self: &Arc<Self>, mark: Option<SettingsMark>) -> Result<Turn, Fault> {
        let mut state = self.state();
        if state.is_closed {
            let what = "it was released while it was called".to_owned();
            return Err(Fault::Refused { what });
        }
        if let Some(place) = state.best(mark) {
            let member = state.members.remove(place);
            let lease = Lease::take(self, &member, mark);
            state.members.push(member.taken(mark));
            return Ok(Turn::Take(lease));
        }
        if state.count() < self.plugin.manifest.pool.max {
            state.starting += 1;
            return Ok(Turn::Start);
        }
        if state.waiting.len() >= self.options.max_waiting {
            return Err(self.busy("and too many calls wait already"));
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        Ok(Turn::Wait(receiver))
    }

    fn reserve_up_to(&self, count: u32) -> bool {
        let mut state = self.state();
        let wanted = !state.is_closed && state.count() < count;
        if wanted {
            state.starting += 1;
        }
        wanted
    }

    fn busy(&self, what: &str) -> Fault {
        Fault::Busy { max: self.plugin.manifest.pool.max, what: what.to_owned() }
    }

    /// Starts a process for which there is a place in `starting`.
    async fn start(self: &Arc<Self>, mark: Option<SettingsMark>) -> Result<Lease, StartFailure> {
        let place = Place(self);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let attempt =
            format!("plugin/{}/{}/{number}", self.plugin.manifest.name, std::process::id());
        let process = start(&self.jailer, &self.options, &self.plugin, attempt).await;
        let outcome = if process.is_ok() { "ready" } else { "failed" };
        metrics::counter!(metric::PLUGIN_STARTS.name, "outcome" => outcome).increment(1);
        let process = process?;
        let process = Arc::new(process);
        let mut state = self.state();
        std::mem::forget(place);
        state.starting -= 1;
        if state.is_closed {
            drop(state);
            self.retire(process);
            let what = "it was released while it started".to_owned();
            return Err(Fault::Refused { what }.into());
        }
        let member = Member::new(process, number);
        let lease = Lease::take(self, &member, mark);
        state.members.push(member.taken(mark));
        Ok(lease)
    }

    /// How many processes are idle, busy and starting.
    pub(crate) fn census(&self) -> [usize; 3] {
        let state = self.state();
        let idle = state.members.iter().filter(|member| member.is_idle()).count();
        [idle, state.members.len() - idle, state.starting as usize]
    }

    /// Ends every process that is not at work, and takes no more calls.
    pub(crate) async fn close(&self) {
        let members = {
            let mut state = self.state();
            state.is_closed = true;
            state.waiting.clear();
            std::mem::take(&mut state.members)
        };
        let mut ends = tokio::task::JoinSet::new();
        for member in members.into_iter().filter(Member::is_idle) {
            ends.spawn(member.process.stop(self.options.stop));
        }
        while ends.join_next().await.is_some() {}
    }

    /// Ends a process in the background.
    fn retire(&self, process: Arc<PluginProcess>) {
        tokio::spawn(process.stop(self.options.stop));
    }

    fn forget_the_impatient(&self) {
        self.state().waiting.retain(|waiter| !waiter.is_closed());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX).saturating_add(self.starting)
    }

    /// The place of the process for a call with these settings: the one that worked last of those
    /// that have them, else the one that worked last of those that can be given them.
    fn best(&self, mark: Option<SettingsMark>) -> Option<usize> {
        let fits = |member: &Member| member.has_room() && (mark.is_none() || member.mark == mark);
        let could = |member: &Member| member.is_idle() && member.has_room();
        self.members.iter().rposition(fits).or_else(|| self.members.iter().rposition(could))
    }

    /// Wakes one who waits.
    fn wake_one(&mut self) {
        while let Some(waiter) = self.waiting.pop_front() {
            if waiter.send(()).is_ok() {
                return;
            }
        }
    }
}

/// A place for a process that is starting, given back if it does not start.
struct Place<'a>(&'a Pool);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.starting -= 1;
        state.wake_one();
    }
}
