//! What templates and conditions see: the scope of one execution at one moment.

use std::collections::BTreeMap;

use flexcore_domain::{Execution, ExecutionOrder, SkipCause, StepId, StepState};
use flexcore_eventsourcing::Timestamp;
use flexcore_pipeline_file::{RenderedStep, ResolvedStep, RunScope, Scope, StepScope};
use flexcore_ports::Secrets;
use serde_json::Value;

use crate::format_time;

/// The values that an expression or template can read, without secrets.
#[derive(Debug)]
pub(crate) struct Evaluation<'a> {
    params: BTreeMap<String, Value>,
    steps: BTreeMap<String, StepScope>,
    run: RunScope,
    host: &'a BTreeMap<String, String>,
}

impl<'a> Evaluation<'a> {
    /// When an execution is created: no parameter is bound and no step has begun.
    pub(crate) fn at_creation(order: &ExecutionOrder, host: &'a BTreeMap<String, String>) -> Self {
        Self {
            params: BTreeMap::new(),
            steps: BTreeMap::new(),
            run: run_scope(order, order.created_at, 1),
            host,
        }
    }

    /// While an execution runs. `outputs` holds the output of every completed step.
    pub(crate) fn of(
        execution: &Execution,
        outputs: &BTreeMap<StepId, Value>,
        attempt: u32,
        host: &'a BTreeMap<String, String>,
    ) -> Self {
        let order = &execution.order;
        let begin = execution.started_at.unwrap_or(order.created_at);
        let params = order.params.as_object().into_iter().flatten();
        let step = |(id, progress): (&StepId, &flexcore_domain::StepProgress)| {
            let state = &progress.state;
            let scope = StepScope {
                status: state.has_ended().then(|| state.as_str().to_owned()),
                output: outputs.get(id).cloned(),
                error: match state {
                    StepState::Failed { error } => Some(error.message.clone()),
                    StepState::Skipped { cause: SkipCause::Upstream } => {
                        Some("skipped: a step that it needs did not complete".to_owned())
                    }
                    _ => None,
                },
                attempts: progress.attempts,
            };
            (id.to_string(), scope)
        };
        Self {
            params: params.map(|(name, value)| (name.clone(), value.clone())).collect(),
            steps: execution.steps.iter().map(step).collect(),
            run: run_scope(order, begin, attempt),
            host,
        }
    }

    /// The scope, with a look-up for secrets.
    pub(crate) fn with_scope<T>(
        &self,
        secret: &dyn Fn(&str) -> Result<String, String>,
        evaluate: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let host = |name: &str| self.host.get(name).cloned();
        evaluate(&Scope {
            params: self.params.clone(),
            steps: self.steps.clone(),
            run: self.run.clone(),
            host: &host,
            secret,
        })
    }
}

/// A step's settings with every template rendered; the reason, masked, if one cannot be.
pub(crate) async fn render_step(
    secrets: &dyn Secrets,
    evaluation: &Evaluation<'_>,
    step: &ResolvedStep,
) -> Result<RenderedStep, String> {
    let mut values = BTreeMap::new();
    for name in step.secret_names(&evaluation.params) {
        let value = secrets.get(&name).await.map_err(|error| error.to_string())?;
        values.insert(name, value);
    }
    let secret =
        |name: &str| values.get(name).cloned().ok_or_else(|| format!("secret `{name}` is not set"));
    let rendered = evaluation.with_scope(&secret, |scope| step.render(scope));
    rendered.map_err(|error| secrets.mask().apply(&error.to_string()).into_owned())
}

fn run_scope(order: &ExecutionOrder, begin: Timestamp, attempt: u32) -> RunScope {
    let begin = format_time(begin);
    RunScope {
        id: order.id.to_string(),
        attempt,
        pipeline: order.pipeline.to_string(),
        version: order.version.into(),
        environment: order.environment.to_string(),
        interval: (begin.clone(), begin.clone()),
        started_at: begin,
    }
}
