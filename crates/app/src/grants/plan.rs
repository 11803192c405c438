//! What the steps of a pipeline would ask for in an execution that nobody started.

use std::collections::BTreeMap;

use flexcore_domain::{ExecutionId, ExecutionOrder, FullRefresh, PLAN_RULES, PipelineId};
use flexcore_eventsourcing::Timestamp;
use flexcore_pipeline_file::{ParameterInput, ResolvedPipeline};
use serde_json::Value;
use uuid::Uuid;

use super::{ProjectRights, StepRights, survey};
use crate::{UseCaseError, runner::Evaluation};

/// What the steps of a pipeline ask for with these parameters, and what they would get. What cannot
/// be known before a run is left open.
///
/// # Errors
/// [`UseCaseError`] if the operator's word cannot be read.
pub fn plan_rights(
    rights: &ProjectRights,
    resolved: &ResolvedPipeline,
    params: &BTreeMap<String, String>,
    host: &BTreeMap<String, String>,
) -> Result<Vec<StepRights>, UseCaseError> {
    let mut order = ExecutionOrder {
        id: ExecutionId(Uuid::nil()),
        pipeline_id: PipelineId(Uuid::nil()),
        pipeline: resolved.name.clone(),
        version: 0,
        rules: PLAN_RULES,
        environment: resolved.environment.clone(),
        params: Value::Null,
        run_key: None,
        steps: resolved.steps.iter().map(|step| step.id.clone()).collect(),
        streams: vec![],
        full_refresh: FullRefresh::AsDefined,
        created_at: Timestamp::EPOCH,
    };
    let given = params.iter();
    let given = given.map(|(name, text)| (name.clone(), ParameterInput::Text(text.clone())));
    let no_secret = |name: &str| Err(format!("secret `{name}` is not there for parameters"));
    let bound = Evaluation::at_creation(&order, host)
        .with_scope(&no_secret, |scope| resolved.parameters.bind(&given.collect(), scope));
    // A parameter that a run would need need not be there for a look.
    order.params = Value::Object(bound.into_iter().flatten().collect());
    survey(rights, resolved, &order, host, &BTreeMap::new())
}
