//! One owner's time with one execution.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use flexcore_domain::{
    CancelReason, Execution, ExecutionId, ExecutionStatus, PLAN_RULES, PipelineVersion, StepId,
    StepState,
    execution::{ExecutionCommand, ExecutionEvent},
};
use flexcore_eventsourcing::{Aggregate, Append, StreamName, Timestamp};
use flexcore_pipeline_file::{ResolvedPipeline, resolve};
use flexcore_ports::{AppendError, TraceContext};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    Evaluation, Ownership, RunError, RunObserver, Runner, Tenure, attempt::Finished, count,
};
use crate::{
    RequestContext, Services, UseCaseError, output::load_output, repository::Loaded, streams,
};

/// How many finished attempts may wait to be recorded; each step has at most one.
const FINISHED_QUEUE: usize = 1_024;

/// A claimed execution and everything that runs for it.
pub(super) struct Session<'a> {
    pub(super) runner: &'a Runner,
    /// The lease under which everything happens.
    pub(super) tenure: &'a Tenure,
    pub(super) context: RequestContext,
    pub(super) observer: Arc<dyn RunObserver>,
    pub(super) resolved: Arc<ResolvedPipeline>,
    pub(super) version: PipelineVersion,
    /// The execution as the log has it.
    pub(super) execution: Execution,
    /// How many events of its stream are folded into it.
    pub(super) stream_version: u64,
    pub(super) ownership: Ownership,
    /// The outputs of completed steps, for templates.
    pub(super) outputs: BTreeMap<StepId, Value>,
    pub(super) running: BTreeMap<StepId, RunningAttempt>,
    pub(super) finished: mpsc::Sender<Finished>,
    pub(super) inbox: mpsc::Receiver<Finished>,
    appended: watch::Receiver<u64>,
}

/// An attempt that was started and has not been recorded as ended.
#[derive(Debug)]
pub(super) struct RunningAttempt {
    pub(super) cancel: CancellationToken,
    /// Drops the attempt where it stands, which has its processes killed.
    pub(super) abort: AbortHandle,
    /// Why it was asked to end, if it was.
    pub(super) cancelled_for: Option<CancelReason>,
}

impl<'a> Session<'a> {
    /// Becomes the owner: from here on the log refuses whoever owned it before.
    pub(super) async fn claim(
        runner: &'a Runner,
        tenure: &'a Tenure,
        context: &RequestContext,
        known: &Execution,
        observer: Arc<dyn RunObserver>,
    ) -> Result<Self, RunError> {
        let (services, order) = (&runner.services, &known.order);
        let id = order.id;
        let stream = streams::execution(&context.tenant, id);
        let appended = services.ports.store.appended();
        if order.rules > PLAN_RULES {
            return Err(RunError::NewerRules { execution: id, rules: order.rules });
        }
        let definition = services.definition_at(context, order.pipeline_id, order.version).await?;
        let resolved = resolve(&definition.document, &order.environment)
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        let claim =
            Claim { runner, context, stream: &stream, resolved: &resolved, observer: &*observer };
        let (execution, version) = loop {
            let (execution, version) = services.get_execution(context, id).await?;
            tenure.must_hold()?;
            if let Some(claimed) = claim.attempt(execution, version).await? {
                break claimed;
            }
        };
        let outputs = load_outputs(services, &execution).await?;
        // Each owner's time with it is a span of its own.
        let own = |accepted: TraceContext| accepted.child(&format!("epoch/{}", execution.epoch.0));
        let context = RequestContext { trace: context.trace.map(own), ..context.clone() };
        let (finished, inbox) = mpsc::channel(FINISHED_QUEUE);
        Ok(Self {
            runner,
            tenure,
            context,
            observer,
            version: PipelineVersion { steps: definition.steps },
            resolved: Arc::new(resolved),
            ownership: Ownership {
                stream,
                epoch: execution.epoch,
                guard: Arc::new(AtomicU64::new(version)),
            },
            execution,
            stream_version: version,
            outputs,
            running: BTreeMap::new(),
            finished,
            inbox,
            appended,
        })
    }

    /// What this owner does with the execution, as a span.
    pub(super) fn span(&self) -> tracing::Span {
        let (context, order) = (&self.context, &self.execution.order);
        let accepted = self.services().trace_of_execution(context.correlation, order.id);
        // Nobody told of its being accepted where no request began the trace.
        let accepted = accepted.filter(|_| context.correlation.is_some());
        traced_span!(
            "execution",
            context.trace,
            accepted.map(|accepted| accepted.span()),
            otel.kind = "consumer",
            tenant = &*context.tenant,
            execution = %order.id,
            pipeline = %order.pipeline,
            version = order.version,
            epoch = self.ownership.epoch.0,
            status = tracing::field::Empty,
        )
    }

    pub(super) fn services(&self) -> &Arc<Services> {
        &self.runner.services
    }

    pub(super) fn now(&self) -> Timestamp {
        self.services().ports.clock.now()
    }

    pub(super) fn id(&self) -> ExecutionId {
        self.execution.order.id
    }

    /// Plans, records and performs until the execution is at its end.
    pub(super) async fn drive(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<ExecutionStatus, RunError> {
        let mut reports = Vec::new();
        loop {
            let due_at = self.advance(std::mem::take(&mut reports)).await?;
            if self.execution.status.has_ended() {
                tracing::Span::current().record("status", self.execution.status.as_str());
                return Ok(self.execution.status);
            }
            reports = self.wait(due_at, stop).await?;
        }
    }

    /// Waits until there is something to plan anew: ended attempts, a timer, or an event that
    /// somebody else appended.
    async fn wait(
        &mut self,
        due_at: Option<Timestamp>,
        stop: &CancellationToken,
    ) -> Result<Vec<Finished>, RunError> {
        let delay = due_at.map_or(Duration::MAX, |due_at| due_at.duration_since(self.now()));
        let timer = tokio::time::sleep(delay.min(Duration::from_hours(24)));
        let mut reports = Vec::new();
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                return Err(RunError::Stopped { execution: self.id() });
            }
            error = self.tenure.lost() => return Err(error),
            Some(finished) = self.inbox.recv() => {
                reports.push(self.take_back(finished));
                while let Ok(finished) = self.inbox.try_recv() {
                    reports.push(self.take_back(finished));
                }
            }
            () = timer => {}
            Ok(()) = self.appended.changed() => {
                self.appended.borrow_and_update();
                self.refresh().await?;
            }
        }
        Ok(reports)
    }

    /// An ended attempt no longer runs, whether or not its end can be recorded.
    fn take_back(&mut self, mut finished: Finished) -> Finished {
        let running = self.running.remove(&finished.step);
        finished.cancelled_for = running.and_then(|running| running.cancelled_for);
        finished
    }

    /// Folds in what others appended to the execution's stream.
    pub(super) async fn refresh(&mut self) -> Result<(), RunError> {
        let known = Loaded { state: Some(self.execution.clone()), version: self.stream_version };
        let loaded = self.services().load_on(&self.ownership.stream, known).await?;
        if let Some(execution) = loaded.state {
            self.execution = execution;
        }
        self.stream_version = loaded.version;
        self.ownership.guard.fetch_max(loaded.version, Ordering::AcqRel);
        if self.execution.epoch > self.ownership.epoch {
            return Err(RunError::LostOwnership { execution: self.id() });
        }
        Ok(())
    }

    /// Asks whatever still runs to end and waits for it; nothing of it is recorded.
    pub(super) async fn end_attempts(&mut self) {
        for attempt in self.running.values() {
            attempt.cancel.cancel();
        }
        self.wait_for_attempts().await;
    }

    /// Has whatever still runs killed, without any grace; nothing of it is recorded.
    pub(super) async fn abandon_attempts(&mut self) {
        for attempt in self.running.values() {
            attempt.abort.abort();
        }
        self.wait_for_attempts().await;
    }

    async fn wait_for_attempts(&mut self) {
        while !self.running.is_empty() {
            match self.inbox.recv().await {
                Some(finished) => self.running.remove(&finished.step),
                None => return,
            };
        }
    }
}

/// The outputs of the steps that completed before this owner came.
async fn load_outputs(
    services: &Services,
    execution: &Execution,
) -> Result<BTreeMap<StepId, Value>, UseCaseError> {
    let mut outputs = BTreeMap::new();
    for (step, progress) in &execution.steps {
        if let StepState::Completed { output } = &progress.state {
            let value = load_output(&*services.ports.artifacts, output)
                .await
                .map_err(|error| UseCaseError::refused(format!("step `{step}`: {error}")))?;
            outputs.insert(step.clone(), value);
        }
    }
    Ok(outputs)
}

/// One try to become the owner.
struct Claim<'a> {
    runner: &'a Runner,
    context: &'a RequestContext,
    stream: &'a StreamName,
    resolved: &'a ResolvedPipeline,
    observer: &'a dyn RunObserver,
}

impl Claim<'_> {
    /// Claims, and starts the execution if nobody did; `None` if somebody else appended first.
    async fn attempt(
        &self,
        execution: Execution,
        version: u64,
    ) -> Result<Option<(Execution, u64)>, RunError> {
        let services = &self.runner.services;
        let now = services.ports.clock.now();
        let claim = ExecutionCommand::Claim { node: self.runner.options.node.clone() };
        let mut events =
            Execution::decide(Some(&execution), &claim, now).map_err(UseCaseError::from)?;
        let mut claimed = apply(execution, &events)?;
        if claimed.status == ExecutionStatus::Queued {
            let start = ExecutionCommand::Start { deadline: self.deadline(&claimed, now)? };
            let started = Execution::decide(Some(&claimed), &start, now);
            let started = started.map_err(UseCaseError::from)?;
            claimed = apply(claimed, &started)?;
            events.extend(started);
        }
        let count = events.len() as u64;
        let append =
            Append::to(self.stream.clone(), version, services.envelopes(self.context, &events));
        match services.ports.store.append(append.fenced(claimed.epoch)).await {
            Ok(_) => {
                count::recorded(&events, &claimed, &[], now);
                for event in &events {
                    self.observer.recorded(event);
                }
                Ok(Some((claimed, version + count)))
            }
            Err(AppendError::Conflict { .. } | AppendError::Fenced { .. }) => Ok(None),
            Err(error) => Err(UseCaseError::from(error).into()),
        }
    }
}

impl Claim<'_> {
    /// When the whole execution must have ended, if its definition limits that.
    fn deadline(
        &self,
        execution: &Execution,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, RunError> {
        let host = self.runner.services.host_environment();
        let evaluation = Evaluation::of(execution, &BTreeMap::new(), 0, host);
        let no_secret = |_: &str| Err("secrets are not there for timeouts".to_owned());
        let timeout = evaluation
            .with_scope(&no_secret, |scope| self.resolved.render_timeout(scope))
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        Ok(timeout.map(|timeout| now.saturating_add(timeout)))
    }
}

/// The execution after decided events, which are legal by construction.
pub(super) fn apply(
    execution: Execution,
    events: &[ExecutionEvent],
) -> Result<Execution, RunError> {
    let id = execution.order.id;
    let folded = flexcore_eventsourcing::fold(Some(execution), 1, events);
    match folded {
        Ok(Some(execution)) => Ok(execution),
        Ok(None) => Err(UseCaseError::refused("an execution without events").into()),
        Err(error) => Err(UseCaseError::refused(format!(
            "the decision about execution {id} is not legal: {}",
            error.source
        ))
        .into()),
    }
}
