//! One process of a pool, and the right to use it for a call.

use std::sync::Arc;

use tokio::time::Instant;

use super::Pool;
use crate::{
    config::{Settings, SettingsMark},
    process::{PluginProcess, Services},
    start::StartFailure,
};

/// One process of a pool.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: Arc<PluginProcess>,
    pub(super) number: u64,
    /// The settings that it has, if it has any.
    pub(super) mark: Option<SettingsMark>,
    /// Whether it is being given settings.
    is_configuring: bool,
    /// Calls that run now.
    running: u32,
    uses: u32,
    /// Whether it takes no more calls.
    is_spoilt: bool,
    pub(super) born: Instant,
    pub(super) last_used: Instant,
    /// How many times in a row it was not well.
    pub(super) misses: u32,
}

impl Member {
    pub(super) fn new(process: Arc<PluginProcess>, number: u64) -> Self {
        let now = Instant::now();
        Self {
            process,
            number,
            mark: None,
            is_configuring: false,
            running: 0,
            uses: 0,
            is_spoilt: false,
            born: now,
            last_used: now,
            misses: 0,
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.running == 0
    }

    /// Whether it takes another call.
    pub(super) fn has_room(&self) -> bool {
        !self.is_spoilt && !self.is_configuring && self.running < self.process.concurrent()
    }

    /// With one more call, which has these settings.
    pub(super) fn taken(mut self, mark: Option<SettingsMark>) -> Self {
        self.running += 1;
        self.uses += 1;
        if mark.is_some() && self.mark != mark {
            self.mark = None;
            self.is_configuring = true;
        }
        self
    }

    /// Whether it has done enough.
    fn is_worn(&self, pool: &Pool) -> bool {
        let rules = &pool.plugin.manifest.pool;
        self.is_spoilt
            || self.uses >= rules.max_uses
            || self.born.elapsed() >= rules.max_age.duration()
            || !self.process.is_alive()
    }
}

/// The right to use a process for one call; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    pub(crate) process: Arc<PluginProcess>,
    number: u64,
    needs_settings: bool,
    last_used: Instant,
    is_spoilt: bool,
}

impl Lease {
    pub(super) fn take(pool: &Arc<Pool>, member: &Member, mark: Option<SettingsMark>) -> Self {
        Self {
            pool: Arc::clone(pool),
            process: Arc::clone(&member.process),
            number: member.number,
            needs_settings: mark.is_some() && member.mark != mark,
            last_used: member.last_used,
            is_spoilt: false,
        }
    }

    /// The process is not to be used again.
    pub(crate) fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Makes the process ready for the call. False if there is no process any more.
    pub(super) async fn prepare(
        &mut self,
        settings: Option<&Settings<'_>>,
        mark: Option<SettingsMark>,
    ) -> Result<bool, StartFailure> {
        let options = self.pool.options();
        if !self.process.is_alive() {
            return Ok(false);
        }
        // One that was well a moment ago is taken at its word: a question would double a short call.
        let was_quiet = self.last_used.elapsed() >= options.health_interval;
        if was_quiet && self.process.health(options.answer).await.is_err() {
            return Ok(false);
        }
        let Some(settings) = settings.filter(|_| self.needs_settings) else { return Ok(true) };
        if matches!(self.process.services, Services::FlexCore { .. })
            && let Err(fault) = self.process.initialize(settings, options.answer).await
        {
            let fault = self.process.explain(fault).await;
            let (stderr_tail, isolation) =
                (self.process.output.tail(), Some(self.process.isolation.clone()));
            return Err(StartFailure { fault, stderr_tail, isolation });
        }
        self.needs_settings = false;
        let mut state = self.pool.state();
        let mut room = 0;
        if let Some(member) = state.members.iter_mut().find(|one| one.number == self.number) {
            member.mark = mark;
            member.is_configuring = false;
            room = member.process.concurrent() - member.running;
        }
        for _ in 0..room {
            state.wake_one();
        }
        Ok(true)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let retired = {
            let mut state = self.pool.state();
            let place = state.members.iter().position(|one| one.number == self.number);
            let retired = place.and_then(|place| {
                let member = &mut state.members[place];
                member.running -= 1;
                member.last_used = Instant::now();
                member.is_configuring &= !self.needs_settings;
                member.is_spoilt |= self.is_spoilt || self.needs_settings && member.is_configuring;
                let goes = member.is_idle() && member.is_worn(&self.pool);
                goes.then(|| state.members.remove(place))
            });
            state.wake_one();
            // One of a pool that was closed meanwhile is in no list any more.
            let is_orphan = place.is_none();
            retired.map(|member| member.process).or(is_orphan.then(|| Arc::clone(&self.process)))
        };
        let Some(process) = retired else { return };
        if self.is_spoilt {
            process.supervisor.begin_kill();
        } else {
            self.pool.retire(process);
        }
    }
}
