//! The catalog of a sync step's tap, without an execution: what `select` and `plan` show.

use std::{collections::BTreeMap, fmt, sync::Arc};

use flexcore_domain::{
    Execution, ExecutionId, ExecutionOrder, FullRefresh, PLAN_RULES, PipelineId, PipelineName,
    StepId, execution::ExecutionEvent,
};
use flexcore_eventsourcing::Aggregate;
use flexcore_pipeline_file::{
    ParameterInput, PluginProgram, RenderedWork, ResolvedPipeline, SyncSettings as SyncEnds,
};
use flexcore_ports::{
    AttemptLog, Clock, LogSource, Mask, Secrets,
    attempt::{AttemptContext, SyncRunner, SyncSettings},
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ProjectRights, RequestContext, RunnerOptions, Services, UseCaseError,
    grants::Asking,
    plugin::{RegisteredPrograms, error::not_registered},
    runner::{Evaluation, discovery_settings, render_step, step_environment},
};

/// What discovery is given: no store, nothing is recorded.
#[derive(Clone)]
pub struct DiscoverPorts {
    /// Runs the tap.
    pub syncs: Arc<dyn SyncRunner>,
    /// Values that the tap's settings ask for.
    pub secrets: Arc<dyn Secrets>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The environment of this process, with what the project's `.env` adds.
    pub host_environment: Arc<BTreeMap<String, String>>,
    /// What decides what steps may do.
    pub rights: ProjectRights,
    /// What knows the plugins that are registered; `None` where there is no store yet.
    pub registered: Option<Arc<Services>>,
}

impl fmt::Debug for DiscoverPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DiscoverPorts").finish_non_exhaustive()
    }
}

/// Which tap is asked.
#[derive(Debug)]
pub struct Discovery {
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The pipeline in the environment that was chosen.
    pub resolved: ResolvedPipeline,
    /// Its sync step.
    pub step: StepId,
    /// Parameters, as they are given to a run.
    pub params: BTreeMap<String, String>,
}

/// Asks a sync step's tap for its catalog and applies the step's rules to it.
///
/// # Errors
/// [`UseCaseError`] if the settings cannot be rendered or the tap cannot discover.
pub async fn discover(
    ports: &DiscoverPorts,
    options: &RunnerOptions,
    discovery: Discovery,
) -> Result<Value, UseCaseError> {
    let (context, settings) = prepare(ports, options, discovery).await?;
    let catalog = ports.syncs.discover(context, settings).await;
    catalog.map_err(|error| {
        let message = ports.secrets.mask().apply(&error.message).into_owned();
        UseCaseError::refused(message)
    })
}

/// What a sync step would be run with, without an execution.
pub(crate) async fn prepare(
    ports: &DiscoverPorts,
    options: &RunnerOptions,
    discovery: Discovery,
) -> Result<(AttemptContext, SyncSettings), UseCaseError> {
    let mut order = order(ports, &discovery);
    let host = &ports.host_environment;
    let given = discovery.params.into_iter();
    let given = given.map(|(name, text)| (name, ParameterInput::Text(text))).collect();
    let no_secret = |name: &str| Err(format!("secret `{name}` is not there for parameters"));
    let bound = Evaluation::at_creation(&order, host)
        .with_scope(&no_secret, |scope| discovery.resolved.parameters.bind(&given, scope))
        .map_err(|error| UseCaseError::invalid(error.to_string()))?;
    order.params = Value::Object(bound.into_iter().collect());
    let execution = Execution::evolve(None, &ExecutionEvent::Created(order.clone()))
        .map_err(|error| UseCaseError::refused(error.to_string()))?;
    let evaluation = Evaluation::of(&execution, &BTreeMap::new(), 1, host);
    let step = discovery.resolved.steps.iter().find(|step| step.id == discovery.step);
    let step = step.ok_or_else(|| UseCaseError::NotFound {
        what: "step",
        name: discovery.step.to_string(),
        hint: None,
    })?;
    let rendered =
        render_step(&*ports.secrets, &evaluation, step).await.map_err(UseCaseError::invalid)?;
    let RenderedWork::Sync(settings) = rendered.work else {
        return Err(UseCaseError::invalid(format!("step `{}` is not a sync", discovery.step)));
    };
    let programs = registered(ports, &settings, options).await?;
    let asking = Asking::new(&discovery.pipeline, step);
    let rights = ports.rights.of_attempt(&asking, &programs.add_to(&rendered.request))?;
    let context = AttemptContext {
        execution: order.id,
        pipeline: order.pipeline.clone(),
        step: discovery.step,
        attempt: 1,
        epoch: 0,
        project_root: options.project_root.clone(),
        work_folder: options.work_folder.join("discover").join(order.id.to_string()),
        environment: step_environment(host, rendered.environment, &[], ports.rights.private_home),
        grace: options.grace,
        rights,
        log: Arc::new(TracedLog(ports.secrets.mask())),
    };
    Ok((context, discovery_settings(*settings, &options.executable, programs)))
}

/// The programs of registered plugins among those of a sync.
async fn registered(
    ports: &DiscoverPorts,
    settings: &SyncEnds,
    options: &RunnerOptions,
) -> Result<RegisteredPrograms, UseCaseError> {
    let name = [&settings.tap, &settings.target].into_iter().find_map(|end| match &end.program {
        PluginProgram::Registered(name) => Some(name),
        PluginProgram::Native(_) | PluginProgram::Command(_) => None,
    });
    match (&ports.registered, name) {
        (Some(services), _) => {
            let context = RequestContext::local("flexcore");
            services.registered_programs(&context, settings, &options.project_root).await
        }
        (None, None) => Ok(RegisteredPrograms::default()),
        (None, Some(name)) => Err(not_registered(name).into()),
    }
}

/// An order that is never recorded.
fn order(ports: &DiscoverPorts, discovery: &Discovery) -> ExecutionOrder {
    ExecutionOrder {
        id: ExecutionId(Uuid::nil()),
        pipeline_id: PipelineId(Uuid::nil()),
        pipeline: discovery.pipeline.clone(),
        version: 0,
        rules: PLAN_RULES,
        environment: discovery.resolved.environment.clone(),
        params: Value::Null,
        run_key: None,
        steps: discovery.resolved.steps.iter().map(|step| step.id.clone()).collect(),
        streams: vec![],
        full_refresh: FullRefresh::AsDefined,
        created_at: ports.clock.now(),
    }
}

/// What a tap says while it discovers goes to the program's own log.
#[derive(Debug)]
struct TracedLog(Arc<dyn Mask>);

impl AttemptLog for TracedLog {
    fn line(&self, source: LogSource, text: &str) {
        let text = &*self.0.apply(text);
        tracing::debug!(source = source.as_str(), text, "discovery");
    }
}
