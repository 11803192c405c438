//! What all steps of a pipeline ask for, before any of them runs.

use std::collections::BTreeMap;

use flexcore_domain::{Execution, ExecutionOrder, StepId, StepKind, execution::ExecutionEvent};
use flexcore_eventsourcing::Aggregate;
use flexcore_pipeline_file::{RenderError, ResolvedPipeline, ResolvedStep, StepRequest};
use flexcore_plugin_protocol::Effective;

use super::{Asking, MissingGrants, ProjectRights};
use crate::{
    RequestContext, Services, UseCaseError,
    plugin::{Asker, RegisteredPrograms},
    runner::Evaluation,
};

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

/// What the programs of a step's registered plugins ask for, by step.
type Programs = BTreeMap<StepId, RegisteredPrograms>;

/// What the steps of an execution ask for, but for those that call plugins. Templates that read what
/// is not there yet, such as the output of another step, are left for later.
///
/// # Errors
/// [`UseCaseError`] if the operator's word cannot be read.
pub(super) fn survey(
    rights: &ProjectRights,
    resolved: &ResolvedPipeline,
    order: &ExecutionOrder,
    host: &BTreeMap<String, String>,
    programs: &Programs,
) -> Result<Vec<StepRights>, UseCaseError> {
    let execution = before_it_began(order)?;
    let evaluation = Evaluation::of(&execution, &BTreeMap::new(), 1, host);
    let own = chosen(resolved, order).filter(|step| step.kind != StepKind::Plugin);
    own.map(|step| {
        let request = match request_of(step, &evaluation) {
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
        let request = match programs.get(&step.id) {
            Some(programs) => programs.add_to(&request),
            None => request,
        };
        let asking = Asking::new(&resolved.name, step);
        let effective = rights.of(&asking, &request)?;
        let missing = rights.missing(&asking, &effective);
        let step = step.id.clone();
        Ok(StepRights { step, effective: Some(effective), missing, unknown: None })
    })
    .collect()
}

fn before_it_began(order: &ExecutionOrder) -> Result<Execution, UseCaseError> {
    Execution::evolve(None, &ExecutionEvent::Created(order.clone()))
        .map_err(|error| UseCaseError::refused(error.to_string()))
}

fn chosen<'a>(
    resolved: &'a ResolvedPipeline,
    order: &'a ExecutionOrder,
) -> impl Iterator<Item = &'a ResolvedStep> {
    resolved.steps.iter().filter(|step| order.steps.contains(&step.id))
}

fn request_of(
    step: &ResolvedStep,
    evaluation: &Evaluation<'_>,
) -> Result<StepRequest, RenderError> {
    let secret = |name: &str| Err(format!("secret `{name}` is read when the step starts"));
    evaluation.with_scope(&secret, |scope| step.render_request(scope))
}

impl Services {
    /// Refuses an execution of which a step asks for what it was not granted, before anything runs.
    ///
    /// # Errors
    /// [`UseCaseError::NotGranted`] with the lines that grant everything that is missing.
    pub(crate) async fn check_grants(
        &self,
        context: &RequestContext,
        resolved: &ResolvedPipeline,
        order: &ExecutionOrder,
    ) -> Result<(), UseCaseError> {
        let Some(rights) = &self.rights else { return Ok(()) };
        let mut programs = Programs::new();
        for step in chosen(resolved, order) {
            let names = step.registered_plugins();
            if names.iter().any(Option::is_some) {
                programs.insert(step.id.clone(), self.manifests_of(context, names).await);
            }
        }
        let own = survey(rights, resolved, order, self.host_environment(), &programs)?;
        let mut missing: Vec<_> = own.into_iter().filter_map(|step| step.missing).collect();
        missing.extend(self.missing_of_calls(context, resolved, order, rights).await?);
        let missing = MissingGrants::all(missing);
        missing.map_or(Ok(()), |missing| Err(UseCaseError::NotGranted(Box::new(missing))))
    }

    /// What the plugins that steps call lack. A plugin that cannot be called for another reason,
    /// and a step that asks for more than its plugin, say so when the step starts.
    async fn missing_of_calls(
        &self,
        context: &RequestContext,
        resolved: &ResolvedPipeline,
        order: &ExecutionOrder,
        rights: &ProjectRights,
    ) -> Result<Vec<MissingGrants>, UseCaseError> {
        let steps: Vec<_> =
            chosen(resolved, order).filter(|step| step.kind == StepKind::Plugin).collect();
        let mut missing = Vec::new();
        for step in steps {
            let Some(name) = step.called_plugin() else { continue };
            let request = {
                let execution = before_it_began(order)?;
                let outputs = BTreeMap::new();
                let evaluation = Evaluation::of(&execution, &outputs, 1, self.host_environment());
                request_of(step, &evaluation)
            };
            let Ok(request) = request else { continue };
            let Ok(found) = self.find_callable(context, name).await else { continue };
            let asker = Asker {
                step: Some((resolved.name.as_str(), step.id.as_str())),
                request: Some((&request.capabilities, &request.limits)),
            };
            let effective = self.rights_of(&found, asker)?;
            missing.extend(MissingGrants::of_call(
                (&resolved.name, &step.id),
                name,
                &effective,
                rights,
            ));
        }
        // Several steps that call the same plugin lack the same.
        missing.dedup_by(|one, other| one.lines == other.lines);
        Ok(missing)
    }
}
