//! The worker: drives whatever execution nobody drives.
//!
//! It hears of new executions from the log, at once; and it looks at the unfinished ones now and
//! then, because the process that drove one may be gone without a word. Whoever comes first takes
//! the lease; the others are told so and look again later.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use flexcore_domain::{Execution, ExecutionId, StepId, execution::ExecutionEvent};
use flexcore_eventsourcing::{Aggregate, RecordedEvent};
use flexcore_ports::attempt::Progress;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    LogSubscriptions, RequestContext, RunError, RunObserver, Runner, Services, Start,
    SubscriptionError, projection::View,
};

/// How many unfinished executions one look takes in.
const PAGE: usize = 1_000;

/// How a worker works.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// How many executions it drives at the same time.
    pub executions: usize,
    /// How often it looks for executions that nobody drives any more.
    pub look_every: Duration,
    /// How long executions may go on once it is to end; then they are left for a later owner.
    pub drain: Duration,
    /// Whether it drives executions as they are asked for.
    pub takes_new: bool,
    /// Whether it looks for executions that nobody drives, and drives them on.
    pub takes_abandoned: bool,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            executions: 50,
            look_every: Duration::from_secs(5),
            drain: Duration::from_secs(20),
            takes_new: true,
            takes_abandoned: true,
        }
    }
}

/// Drives executions until it is told to end.
#[derive(Debug)]
pub struct Worker {
    runner: Runner,
    services: Arc<Services>,
    options: WorkerOptions,
    /// What it drives now.
    driven: BTreeSet<ExecutionId>,
    /// What it will drive next.
    waiting: VecDeque<(ExecutionId, RequestContext)>,
    running: JoinSet<ExecutionId>,
    /// Leaves what is driven for a later owner.
    leave: CancellationToken,
}

impl Worker {
    /// A worker that drives executions with `runner`.
    pub fn new(runner: Runner, services: Arc<Services>, options: WorkerOptions) -> Self {
        Self {
            runner,
            services,
            options,
            driven: BTreeSet::new(),
            waiting: VecDeque::new(),
            running: JoinSet::new(),
            leave: CancellationToken::new(),
        }
    }

    /// Works until `stop` fires. What runs then may go on for a while; what is still running after
    /// that is left interrupted, and nothing of it runs any more when this returns.
    ///
    /// # Errors
    /// [`SubscriptionError`] if the log can no longer be followed.
    pub async fn run(
        mut self,
        log: LogSubscriptions,
        stop: CancellationToken,
    ) -> Result<(), SubscriptionError> {
        let mut subscription = log.subscribe(Start::Now).await?;
        let mut look = tokio::time::interval(self.options.look_every);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            self.start_waiting();
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    self.forget(ended);
                }
                _ = look.tick(), if self.options.takes_abandoned => self.look().await,
                page = subscription.next() => match page {
                    Ok(Some(page)) => {
                        for event in page.events() {
                            self.hear(event);
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
            }
        };
        self.end().await;
        ended
    }

    /// A new execution, or one that is to be tried again, has somebody to drive it now.
    fn hear(&mut self, event: &RecordedEvent) {
        let name = &*event.event.type_name;
        if !self.options.takes_new
            || !matches!(name, "PipelineExecutionCreated" | "PipelineExecutionRetried")
        {
            return;
        }
        let text = event.stream.to_string();
        let id = text.rsplit('/').next().and_then(|id| id.parse().ok());
        match id {
            Some(id) if event.stream.category() == Execution::CATEGORY => {
                self.queue(id, context(&event.event.context.tenant));
            }
            _ => tracing::warn!(stream = text, "an execution's stream has no id in its name"),
        }
    }

    /// Finds what is not at its end and what this process does not drive.
    async fn look(&mut self) {
        if let Err(error) = self.services.up_to_date(View::Executions).await {
            tracing::warn!(%error, "unfinished executions cannot be looked for");
            return;
        }
        match self.services.ports.views.unfinished_executions(PAGE).await {
            // The oldest first: it has waited longest.
            Ok(rows) => {
                for row in rows {
                    self.queue(row.id, context(&row.tenant));
                }
            }
            Err(error) => tracing::warn!(%error, "unfinished executions cannot be looked for"),
        }
    }

    fn queue(&mut self, id: ExecutionId, context: RequestContext) {
        let is_known =
            self.driven.contains(&id) || self.waiting.iter().any(|(waiting, _)| *waiting == id);
        if !is_known {
            self.waiting.push_back((id, context));
        }
    }

    fn start_waiting(&mut self) {
        while self.driven.len() < self.options.executions {
            let Some((id, context)) = self.waiting.pop_front() else { return };
            self.driven.insert(id);
            let (runner, leave) = (self.runner.clone(), self.leave.clone());
            self.running.spawn(async move {
                drive(&runner, &context, id, leave).await;
                id
            });
        }
    }

    fn forget(&mut self, ended: Result<ExecutionId, tokio::task::JoinError>) {
        match ended {
            Ok(id) => {
                self.driven.remove(&id);
            }
            // Which one it was nobody knows now; it is found again when somebody looks.
            Err(error) => {
                tracing::error!(%error, "driving an execution failed");
                self.driven.clear();
            }
        }
    }

    async fn end(mut self) {
        let all_ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(self.options.drain, all_ended).await.is_err() {
            self.leave.cancel();
            while self.running.join_next().await.is_some() {}
        }
    }
}

fn context(tenant: &str) -> RequestContext {
    RequestContext { tenant: tenant.into(), ..RequestContext::local("worker") }
}

async fn drive(
    runner: &Runner,
    context: &RequestContext,
    id: ExecutionId,
    leave: CancellationToken,
) {
    match runner.run(context, id, Arc::new(Unheard), leave).await {
        Ok(status) => tracing::info!(execution = %id, status = status.as_str(), "ended"),
        Err(RunError::Held { holder, .. }) => {
            tracing::debug!(execution = %id, node = holder.node, "somebody else drives it");
        }
        Err(RunError::Stopped { .. }) => tracing::info!(execution = %id, "left for later"),
        Err(error) => tracing::warn!(execution = %id, %error, "an execution was not driven on"),
    }
}

/// Nobody watches; the log has it all.
struct Unheard;

impl RunObserver for Unheard {
    fn recorded(&self, _: &ExecutionEvent) {}
    fn progress(&self, _: &StepId, _: &Progress) {}
}
