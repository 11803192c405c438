//! How the server is: what `/ready` and `/health` answer by.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use flexcore_api::ListActivePlugins;
use flexcore_app::{QueryBus, RequestContext, Services};
use flexcore_cli::Writer;
use flexcore_eventsourcing::Timestamp;
use flexcore_http::{Check, Health, HealthChecks};
use flexcore_pipeline_file::SandboxWish;
use tokio::{sync::OnceCell, time::timeout};

use crate::sandbox;

/// How long one part may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Views that are further behind than this many events are not what a list should be made of.
const LAG: u64 = 10_000;
/// A disk that is fuller than this is about to stop the log: bytes, and hundredths.
const LEAST_FREE: (u64, u64) = (100 << 20, 1);
/// How far the clock may have been set while the process runs.
const CLOCK_STEP: Duration = Duration::from_secs(5);

/// Looks at what the server stands on.
pub(super) struct Checks {
    services: Arc<Services>,
    queries: QueryBus,
    state_folder: PathBuf,
    environment: BTreeMap<String, String>,
    /// How much of a jail the project asks for.
    wish: Option<SandboxWish>,
    /// What the machine enforces does not change while the process runs.
    sandbox: OnceCell<Check>,
    /// Both clocks at the start.
    began: (Instant, Timestamp),
    is_ready: AtomicBool,
}

impl Checks {
    /// Of a server that takes requests from now on.
    pub(super) fn new(
        writer: &Writer,
        state_folder: PathBuf,
        (wish, environment): (Option<SandboxWish>, BTreeMap<String, String>),
    ) -> Self {
        let services = Arc::clone(&writer.services);
        let began = (Instant::now(), services.ports().clock.now());
        Self {
            services,
            queries: writer.queries.clone(),
            state_folder,
            environment,
            wish,
            sandbox: OnceCell::new(),
            began,
            is_ready: AtomicBool::new(true),
        }
    }

    /// No further request should be sent here.
    pub(super) fn end(&self) {
        self.is_ready.store(false, Ordering::Relaxed);
    }

    async fn store(&self) -> Check {
        match self.services.ports().store.head().await {
            Ok(head) => check("store", true, format!("position {}", head.position)),
            Err(error) => check("store", false, error.to_string()),
        }
    }

    async fn views(&self) -> Check {
        const NAME: &str = "views";
        let ports = self.services.ports();
        let (head, all) = match tokio::join!(ports.store.head(), ports.views.projections()) {
            (Ok(head), Ok(all)) => (head.position, all),
            (Err(error), _) | (_, Err(error)) => return check(NAME, false, error.to_string()),
        };
        let said: Vec<String> = all
            .iter()
            .map(|view| {
                let position = view.checkpoint.map_or(0, |checkpoint| checkpoint.position);
                let lag = head.saturating_sub(position);
                match &view.stopped {
                    None => format!("{} {lag} behind", view.name),
                    Some(stopped) => format!("{} stopped at {}", view.name, stopped.position),
                }
            })
            .collect();
        let is_current = all.iter().all(|view| {
            let position = view.checkpoint.map_or(0, |checkpoint| checkpoint.position);
            view.stopped.is_none() && head.saturating_sub(position) <= LAG
        });
        check(NAME, is_current, said.join(", "))
    }

    /// Those that failed so often that an operator has to look.
    async fn plugins(&self) -> Check {
        const NAME: &str = "plugins";
        let status = Some("quarantined".to_owned());
        let query = ListActivePlugins { status, ..ListActivePlugins::default() };
        match self.queries.ask(&RequestContext::local("health"), query).await {
            Ok(page) => {
                let names: Vec<_> = page.items.into_iter().map(|plugin| plugin.name).collect();
                match names.is_empty() {
                    true => check(NAME, true, "none is quarantined".to_owned()),
                    false => check(NAME, false, format!("quarantined: {}", names.join(", "))),
                }
            }
            Err(error) => check(NAME, false, error.to_string()),
        }
    }

    async fn sandbox(&self) -> Check {
        let look = async || match sandbox::report(self.wish, &self.environment).await {
            Ok(report) => {
                let held = report.controls.iter().filter(|one| one.state == "enforced").count();
                let (tier, policy, all) = (report.tier, report.policy, report.controls.len());
                let detail = format!("tier {tier}, policy {policy}, {held} of {all} controls");
                check("sandbox", policy != "strict" || report.strict_ok, detail)
            }
            Err(error) => check("sandbox", false, error.message),
        };
        self.sandbox.get_or_init(look).await.clone()
    }

    fn disk(&self) -> Check {
        const NAME: &str = "disk";
        let status = match rustix::fs::statvfs(&self.state_folder) {
            Ok(status) => status,
            Err(error) => return check(NAME, false, error.to_string()),
        };
        let free = status.f_bavail.saturating_mul(status.f_frsize);
        let share = status.f_bavail.saturating_mul(100) / status.f_blocks.max(1);
        let (bytes, hundredths) = LEAST_FREE;
        let detail = format!("{} MiB free, {share} %", free >> 20);
        check(NAME, free >= bytes && share >= hundredths, detail)
    }

    /// A clock that was set makes times in the log lie.
    fn clock(&self) -> Check {
        let (since, began) = self.began;
        let now = self.services.ports().clock.now();
        let passed = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
        let step = now.as_micros().saturating_sub(began.as_micros()).saturating_sub(passed);
        let is_steady = u128::from(step.unsigned_abs()) <= CLOCK_STEP.as_micros();
        let time = flexcore_app::format_time(now);
        let detail = match is_steady {
            true => time,
            false => format!("{time}, set by {} s since the start", step / 1_000_000),
        };
        check("clock", is_steady, detail)
    }
}

#[async_trait]
impl HealthChecks for Checks {
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    async fn look(&self) -> Health {
        let (store, views, plugins, sandbox) = tokio::join!(
            in_time("store", self.store()),
            in_time("views", self.views()),
            in_time("plugins", self.plugins()),
            in_time("sandbox", self.sandbox()),
        );
        let checks = vec![store, views, plugins, sandbox, self.disk(), self.clock()];
        Health { ready: self.is_ready(), checks }
    }
}

/// A part that does not answer is not healthy.
async fn in_time(name: &'static str, look: impl Future<Output = Check>) -> Check {
    let silent = || check(name, false, format!("no answer within {} s", PATIENCE.as_secs()));
    timeout(PATIENCE, look).await.unwrap_or_else(|_| silent())
}

fn check(name: &'static str, healthy: bool, detail: String) -> Check {
    Check { name, healthy, detail }
}
