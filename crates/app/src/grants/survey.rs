//! What all steps of a pipeline ask for, before any of them runs.

use std::collections::BTreeMap;

use flexcore_domain::{Execution, ExecutionOrder, StepId, StepKind, execution::ExecutionEvent};
use flexcore_eventsourcing::Aggregate;
use flexcore_pipeline_file::{ResolvedPipeline, ResolvedStep};
use flexcore_plugin_protocol::Effective;

use super::{Asking, MissingGrants, ProjectRights};
use crate::{UseCaseError, runner::Evaluation};

/// What one step asks for, and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRights {
    /// The step.
    pub step: StepId,
    /// What it gets; `None` if that is only known when it starts.
    pub effective: Option<Effective>,
    /// What is missing.
    pub missing: Option<MissingGrants>,
    /// Why it is not known yet.
    pub unknown: Option<String>,
}

/// What the steps of an execution ask for. Templates that read what is not there yet, such as the
/// output of another step, are left for later.
///
/// # Errors
/// [`UseCaseError`] if the operator's word cannot be read.
pub(super) fn survey(
    rights: &ProjectRights,
    resolved: &ResolvedPipeline,
    order: &ExecutionOrder,
    host: &BTreeMap<String, String>,
) -> Result<Vec<StepRights>, UseCaseError> {
    let execution = Execution::evolve(None, &ExecutionEvent::Created(order.clone()))
        .map_err(|error| UseCaseError::refused(error.to_string()))?;
    let evaluation = Evaluation::of(&execution, &BTreeMap::new(), 1, host);
    let chosen = resolved.steps.iter().filter(|step| order.steps.contains(&step.id));
    let own = chosen.filter(|step| step.kind != StepKind::Plugin);
    own.map(|step| one(rights, resolved, step, &evaluation)).collect()
}

fn one(
    rights: &ProjectRights,
    resolved: &ResolvedPipeline,
    step: &ResolvedStep,
    evaluation: &Evaluation<'_>,
) -> Result<StepRights, UseCaseError> {
    let secret = |name: &str| Err(format!("secret `{name}` is read when the step starts"));
    let request = evaluation.with_scope(&secret, |scope| step.render_request(scope));
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            return Ok(StepRights {
                step: step.id.clone(),
                effective: None,
                missing: None,
                unknown: Some(error.to_string()),
            });
        }
    };
    let asking = Asking::new(&resolved.name, step);
    let effective = rights.of(&asking, &request)?;
    let missing = rights.missing(&asking, &effective);
    let step = step.id.clone();
    Ok(StepRights { step, effective: Some(effective), missing, unknown: None })
}

impl ProjectRights {
    /// Refuses an execution of which a step asks for what it was not granted, before anything runs.
    pub(crate) fn check(
        &self,
        resolved: &ResolvedPipeline,
        order: &ExecutionOrder,
        host: &BTreeMap<String, String>,
    ) -> Result<(), UseCaseError> {
        let steps = survey(self, resolved, order, host)?;
        let missing = MissingGrants::all(steps.into_iter().filter_map(|step| step.missing));
        missing.map_or(Ok(()), |missing| Err(UseCaseError::NotGranted(Box::new(missing))))
    }
}
