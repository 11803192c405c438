//! Attempts while they run, each in a task of its own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::Arc,
    time::{Duration, Instant},
};

use flexcore_domain::{
    CancelReason, ErrorClass, FailureReason, StepAudit, StepCounts, StepError, StepId, StepKind,
    StoredOutput,
};
use flexcore_pipeline_file::{RenderedWork, StepRequest};
use flexcore_plugin_protocol::Capability;
use flexcore_ports::attempt::{
    AttemptContext, AttemptEnd, AttemptError, AttemptOutcome, AttemptRights,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    RunObserver, Runner, command, count, hint, plugin,
    session::{RunningAttempt, Session},
    sync,
    transition::Start,
};
use crate::{
    RequestContext, Services, UseCaseError,
    grants::Asking,
    output::{mask_output, store_output},
    plugin::{RegisteredPrograms, mask_uses},
    runner::Ownership,
};

/// What every program may see of the host: where programs, the home folder and temporary files
/// are, and how texts are written. Everything else has to be asked for by name.
const HOST_VARIABLES: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/// Those of them that name folders of the person.
const PRIVATE: [&str; 2] = ["HOME", "TMPDIR"];

/// An attempt that ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) step: StepId,
    pub(super) attempt: u32,
    pub(super) elapsed: Duration,
    /// Why it was asked to end, if it was.
    pub(super) cancelled_for: Option<CancelReason>,
    /// What held its programs and what they used.
    pub(super) audit: StepAudit,
    result: AttemptResult,
}

/// How it ended, ready to be recorded: masked, and with its output stored.
#[derive(Debug)]
enum AttemptResult {
    Completed { value: Value, stored: StoredOutput, counts: StepCounts },
    Failed(AttemptError),
    Cancelled,
}

/// How it is recorded.
pub(super) enum End {
    Completed { output: StoredOutput, counts: StepCounts },
    Failed(StepError),
    Cancelled,
}

impl Finished {
    /// The output, if the attempt did its work.
    pub(super) fn output(&self) -> Option<&Value> {
        match &self.result {
            AttemptResult::Completed { value, .. } => Some(value),
            _ => None,
        }
    }

    /// How it is recorded.
    pub(super) fn end(&self) -> End {
        match (&self.result, self.cancelled_for) {
            (AttemptResult::Completed { stored, counts, .. }, _) => {
                End::Completed { output: stored.clone(), counts: *counts }
            }
            (_, Some(CancelReason::Requested)) => End::Cancelled,
            (AttemptResult::Failed(error), None) => End::Failed(step_error(error)),
            (AttemptResult::Failed(error), Some(CancelReason::Deadline)) => {
                End::Failed(StepError { stderr_tail: error.stderr_tail.clone(), ..self.timeout() })
            }
            (AttemptResult::Cancelled, Some(CancelReason::Deadline)) => End::Failed(self.timeout()),
            (AttemptResult::Cancelled, None) => End::Failed(StepError {
                reason: FailureReason::Attempt(ErrorClass::Signal),
                message: "the attempt was ended by something other than flexcore".to_owned(),
                exit_code: None,
                stderr_tail: vec![],
            }),
        }
    }

    fn timeout(&self) -> StepError {
        let seconds = self.elapsed.as_secs_f64();
        StepError {
            reason: FailureReason::Attempt(ErrorClass::Timeout),
            message: format!("the attempt was ended at its deadline, after {seconds:.1} s"),
            exit_code: None,
            stderr_tail: vec![],
        }
    }
}

fn step_error(error: &AttemptError) -> StepError {
    StepError {
        reason: FailureReason::Attempt(error.class),
        message: error.message.clone(),
        exit_code: error.exit_code,
        stderr_tail: error.stderr_tail.clone(),
    }
}

/// Everything that an attempt's task needs, owned.
pub(super) struct AttemptTask {
    pub(super) runner: Runner,
    pub(super) context: RequestContext,
    pub(super) ownership: Ownership,
    pub(super) observer: Arc<dyn RunObserver>,
    pub(super) execution: flexcore_domain::ExecutionOrder,
    pub(super) step: StepId,
    /// What the step asks for.
    pub(super) request: StepRequest,
    pub(super) cancel: CancellationToken,
}

impl Session<'_> {
    /// Starts a recorded attempt.
    pub(super) fn start(&mut self, start: Start) {
        let Start { step, attempt, rendered } = start;
        let cancel = CancellationToken::new();
        let owner = self.context.trace;
        let trace = owner.map(|owner| owner.child(&format!("{step}/{attempt}")));
        let kind = kind_of(&rendered.work);
        let span = traced_span!(
            "step",
            trace,
            owner.map(|owner| owner.span()),
            tenant = &*self.context.tenant,
            execution = %self.id(),
            step = %step,
            attempt,
            kind,
            error.class = tracing::field::Empty,
        );
        let task = AttemptTask {
            runner: self.runner.clone(),
            context: RequestContext { trace, ..self.context.clone() },
            ownership: self.ownership.clone(),
            observer: Arc::clone(&self.observer),
            execution: self.execution.order.clone(),
            step: step.clone(),
            request: rendered.request.clone(),
            cancel: cancel.clone(),
        };
        let finished = self.finished.clone();
        let begin = Instant::now();
        // A task of its own: a panic in an adapter fails the attempt, not the execution.
        let run = task.run(attempt, rendered.environment, rendered.work).instrument(span);
        let run = tokio::spawn(run);
        let running = RunningAttempt { cancel, abort: run.abort_handle(), cancelled_for: None };
        self.running.insert(step.clone(), running);
        tokio::spawn(async move {
            let result = run.await;
            let (result, audit) = result.unwrap_or_else(|panic| {
                (AttemptResult::Failed(internal(&panic)), StepAudit::default())
            });
            let elapsed = begin.elapsed();
            count::attempt_took(kind, elapsed);
            // Without a receiver the session is over and nobody asks any more.
            let _ = finished
                .send(Finished { step, attempt, elapsed, cancelled_for: None, audit, result })
                .await;
        });
    }
}

impl AttemptTask {
    pub(super) fn services(&self) -> &Arc<Services> {
        &self.runner.services
    }

    async fn run(
        self,
        attempt: u32,
        environment: Vec<(String, String)>,
        work: RenderedWork,
    ) -> (AttemptResult, StepAudit) {
        let prepared = self.prepare(attempt, environment, &work).await;
        let (context, programs) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return (self.failed(error), StepAudit::default()),
        };
        let mut rights = context.rights.effective.clone();
        let (AttemptEnd { mut outcome, isolation, uses }, counts) = match work {
            RenderedWork::Command(settings) => {
                (command::run(&self, context, settings).await, StepCounts::default())
            }
            RenderedWork::Sync(settings) => sync::run(&self, context, *settings, programs).await,
            RenderedWork::Plugin(settings) => {
                let called = plugin::run(&self, context, *settings).await;
                rights = called.rights.unwrap_or_default();
                (called.end, called.counts)
            }
        };
        if let AttemptOutcome::Failed(error) = &mut outcome {
            tracing::Span::current().record("error.class", error.class.as_str());
            hint::add(&self.step, error, &rights, &isolation);
        }
        let mask = self.services().ports.secrets.mask();
        let shown = |capability: &Capability| mask.apply(&capability.to_string()).into_owned();
        let audit = StepAudit {
            isolation,
            granted: rights.capabilities.iter().map(shown).collect(),
            refused: rights.refused.iter().map(|one| shown(&one.capability)).collect(),
            uses: mask_uses(&*mask, uses),
        };
        (self.result(outcome, counts).await, audit)
    }

    /// The outcome masked, and with its output stored.
    async fn result(&self, outcome: AttemptOutcome, counts: StepCounts) -> AttemptResult {
        let mask = self.services().ports.secrets.mask();
        match outcome {
            AttemptOutcome::Completed { output } => {
                let value = mask_output(&*mask, output);
                match store_output(&*self.services().ports.artifacts, &value).await {
                    Ok(stored) => AttemptResult::Completed { value, stored, counts },
                    Err(error) => AttemptResult::Failed(refused(error.to_string())),
                }
            }
            AttemptOutcome::Failed(error) => self.failed(error),
            AttemptOutcome::Cancelled => AttemptResult::Cancelled,
        }
    }

    /// A failure without the values of known secrets.
    fn failed(&self, mut error: AttemptError) -> AttemptResult {
        let mask = self.services().ports.secrets.mask();
        error.message = mask.apply(&error.message).into_owned();
        for line in &mut error.stderr_tail {
            *line = mask.apply(line).into_owned();
        }
        AttemptResult::Failed(error)
    }

    /// What the attempt runs in, and the programs of registered plugins that it runs.
    async fn prepare(
        &self,
        attempt: u32,
        environment: Vec<(String, String)>,
        work: &RenderedWork,
    ) -> Result<(AttemptContext, RegisteredPrograms), AttemptError> {
        let programs = match work {
            RenderedWork::Sync(sync) => {
                let root = &self.runner.options.project_root;
                let found = self.services().registered_programs(&self.context, sync, root).await;
                found.map_err(|error| not_allowed(&error))?
            }
            RenderedWork::Command(_) | RenderedWork::Plugin(_) => RegisteredPrograms::default(),
        };
        let rights = self.rights(work, &programs)?;
        Ok((self.attempt_context(attempt, environment, rights)?, programs))
    }

    /// What the step's programs may do. Whoever calls a plugin looks up its rights with it.
    fn rights(
        &self,
        work: &RenderedWork,
        programs: &RegisteredPrograms,
    ) -> Result<AttemptRights, AttemptError> {
        let plugins = match work {
            RenderedWork::Command(_) => vec![],
            RenderedWork::Sync(sync) => vec![sync.tap.name.clone(), sync.target.name.clone()],
            RenderedWork::Plugin(_) => return Ok(AttemptRights::default()),
        };
        let Some(rights) = &self.services().rights else { return Ok(AttemptRights::default()) };
        let asking = Asking { pipeline: &self.execution.pipeline, step: &self.step, plugins };
        rights
            .of_attempt(&asking, &programs.add_to(&self.request))
            .map_err(|error| not_allowed(&error))
    }

    fn attempt_context(
        &self,
        attempt: u32,
        environment: Vec<(String, String)>,
        rights: AttemptRights,
    ) -> Result<AttemptContext, AttemptError> {
        let epoch = self.ownership.epoch.0;
        let id = self.execution.id;
        let log = self.services().ports.logs.open(id, &self.step, attempt);
        let log = log.map_err(|error| refused(format!("the attempt has no log: {error}")))?;
        let options = &self.runner.options;
        let folder = options.work_folder.join(id.to_string());
        Ok(AttemptContext {
            execution: id,
            pipeline: self.execution.pipeline.clone(),
            step: self.step.clone(),
            attempt,
            epoch,
            project_root: options.project_root.clone(),
            work_folder: folder.join(self.step.as_str()).join(attempt.to_string()),
            environment: self.environment(environment, epoch),
            grace: options.grace,
            rights,
            log,
        })
    }

    fn environment(&self, own: Vec<(String, String)>, epoch: u64) -> Vec<(OsString, OsString)> {
        let ours = [
            ("FLEXCORE_EXECUTION", self.execution.id.to_string()),
            ("FLEXCORE_PIPELINE", self.execution.pipeline.to_string()),
            ("FLEXCORE_STEP", self.step.to_string()),
            ("FLEXCORE_EPOCH", epoch.to_string()),
            ("FLEXCORE_IDEMPOTENCY_KEY", format!("{}/{}", self.execution.id, self.step)),
        ];
        // Where programs that know the standard go on with the trace.
        let trace = self.context.trace.map(|trace| ("TRACEPARENT", trace.to_string()));
        let ours: Vec<_> = ours.into_iter().chain(trace).collect();
        let private_home = self.services().has_private_homes();
        step_environment(self.services().host_environment(), own, &ours, private_home)
    }
}

/// The step's own variables over ours over the few of the host. With `private_home`, the folders of
/// the person are left for whoever starts the program to replace.
pub(crate) fn step_environment(
    host: &BTreeMap<String, String>,
    own: Vec<(String, String)>,
    ours: &[(&str, String)],
    private_home: bool,
) -> Vec<(OsString, OsString)> {
    let passed = |name: &&&str| !(private_home && PRIVATE.contains(name));
    let of_host = HOST_VARIABLES.iter().filter(passed);
    let of_host = of_host.filter_map(|name| Some((*name, host.get(*name)?)));
    let mut variables: BTreeMap<String, String> =
        of_host.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    variables.extend(ours.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    variables.extend(own);
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// The kind of a step.
fn kind_of(work: &RenderedWork) -> &'static str {
    let kind = match work {
        RenderedWork::Command(_) => StepKind::Command,
        RenderedWork::Sync(_) => StepKind::Sync,
        RenderedWork::Plugin(_) => StepKind::Plugin,
    };
    kind.as_str()
}

/// An attempt that was refused before it began, or after it ended.
pub(super) fn refused(message: String) -> AttemptError {
    AttemptError { class: ErrorClass::Refused, message, exit_code: None, stderr_tail: vec![] }
}

/// One that a use case refused, with its code and what to do.
fn not_allowed(error: &UseCaseError) -> AttemptError {
    let body = error.body();
    let hint = body.hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
    refused(format!("{} ({}){hint}", body.message, body.code))
}

fn internal(panic: &tokio::task::JoinError) -> AttemptError {
    refused(format!("flexcore itself failed in this attempt ({panic}); please report it"))
}
