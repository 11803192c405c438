//! ExecutePipeline.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use flexcore_api::{ExecutePipeline, ExecutionAccepted, ExecutionRefresh};
use flexcore_domain::{
    EnvironmentName, Execution, ExecutionId, ExecutionOrder, FullRefresh, PLAN_RULES, Pipeline,
    PipelineDefinition, PipelineStatus, StepId, StepKind, execution::ExecutionCommand,
    pipeline::PipelineRejection,
};
use flexcore_eventsourcing::{Aggregate, Append};
use flexcore_pipeline_file::{ParameterInput, ResolvedPipeline, resolve};
use flexcore_ports::AppendError;
use serde_json::Value;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{HandleCommand, RequestContext, Services, UseCaseError, runner::Evaluation, streams};

/// The namespace of execution ids that derive from an idempotency key.
const RUN_KEYS: Uuid = Uuid::from_u128(0x8a1d_53f2_6c0e_4b6b_9d0f_2f5f_0c5e_71d4);

#[async_trait]
impl HandleCommand<ExecutePipeline> for Services {
    /// An id that derives from the key makes the log refuse to create one execution twice.
    async fn handle(
        &self,
        context: &RequestContext,
        command: ExecutePipeline,
    ) -> Result<ExecutionAccepted, UseCaseError> {
        let pipeline = self.get_pipeline(context, &command.pipeline).await?;
        let id = match &command.run_key {
            None => ExecutionId(self.ports.ids.next()),
            Some(key) => derived_id(context, &pipeline, key),
        };
        let stream = streams::execution(&context.tenant, id);
        if command.run_key.is_some()
            && let Some(there) = self.load::<Execution>(&stream).await?.state
        {
            return Ok(accepted(&there.order, true, 0));
        }
        must_begin(&pipeline)?;
        let order = self.order(context, id, &pipeline, command).await?;
        let create = ExecutionCommand::Create(order.clone());
        let events = Execution::decide(None, &create, order.created_at)?;
        let append = Append::to(stream, 0, self.envelopes(context, &events));
        // Before anybody can see it: an execution that is seen without an owner is gone on with.
        self.expect_to_drive(id).await?;
        let accepting = self.acceptance(context, id);
        match self.append(context, append).instrument(accepting).await {
            Ok(appended) => Ok(accepted(&order, false, appended.last_position)),
            // Another process was quicker with the same key.
            Err(AppendError::Conflict { .. }) => Ok(accepted(&order, true, 0)),
            Err(error) => Err(error.into()),
        }
    }
}

/// What was deactivated or archived begins nothing.
fn must_begin(pipeline: &Pipeline) -> Result<(), UseCaseError> {
    match pipeline.status {
        PipelineStatus::Draft | PipelineStatus::Active => Ok(()),
        PipelineStatus::Inactive => {
            Err(UseCaseError::Inactive { name: pipeline.definition.name.to_string() })
        }
        PipelineStatus::Archived => Err(PipelineRejection::Archived.into()),
    }
}

fn derived_id(context: &RequestContext, pipeline: &Pipeline, key: &str) -> ExecutionId {
    let name = format!("{}/{}/{key}", context.tenant, pipeline.id);
    ExecutionId(Uuid::new_v5(&RUN_KEYS, name.as_bytes()))
}

fn accepted(order: &ExecutionOrder, repeated: bool, position: u64) -> ExecutionAccepted {
    let execution = order.id.to_string();
    ExecutionAccepted { execution, version: order.version, repeated, position }
}

impl Services {
    /// What the execution is created with: parameters bound, steps selected.
    async fn order(
        &self,
        context: &RequestContext,
        id: ExecutionId,
        pipeline: &Pipeline,
        command: ExecutePipeline,
    ) -> Result<ExecutionOrder, UseCaseError> {
        let definition = &pipeline.definition;
        let environment: EnvironmentName = match &command.environment {
            None => EnvironmentName::default(),
            Some(name) => name.parse().map_err(|error: flexcore_domain::InvalidName| {
                UseCaseError::invalid(error.to_string())
            })?,
        };
        let resolved = resolve(&definition.document, &environment)
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        let created_at = self.ports.clock.now();
        let mut order = ExecutionOrder {
            id,
            pipeline_id: pipeline.id,
            pipeline: definition.name.clone(),
            version: pipeline.version,
            rules: PLAN_RULES,
            environment,
            params: Value::Null,
            run_key: command.run_key.clone(),
            steps: selected_steps(definition, command.only.as_deref(), command.from.as_deref())?,
            streams: command.streams.clone(),
            full_refresh: refresh(definition, command.full_refresh.as_ref())?,
            created_at,
        };
        order.params = self.bind_params(&order, &resolved, command.params)?;
        self.check_grants(context, &resolved, &order).await?;
        Ok(order)
    }

    fn bind_params(
        &self,
        order: &ExecutionOrder,
        resolved: &ResolvedPipeline,
        given: BTreeMap<String, String>,
    ) -> Result<Value, UseCaseError> {
        let given = given.into_iter().map(|(name, text)| (name, ParameterInput::Text(text)));
        let evaluation = Evaluation::at_creation(order, self.host_environment());
        let no_secret = |name: &str| Err(secret_at_creation(name));
        let bound = evaluation
            .with_scope(&no_secret, |scope| resolved.parameters.bind(&given.collect(), scope))
            .map_err(|error| UseCaseError::invalid(error.to_string()))?;
        Ok(Value::Object(bound.into_iter().collect()))
    }
}

/// Parameter values go into the log: a secret is only ever bound by reference.
fn secret_at_creation(name: &str) -> String {
    format!("secret `{name}` can only be the whole default of a parameter with `secret: true`")
}

/// The steps that run: all, one, or one and everything that depends on it.
fn selected_steps(
    definition: &PipelineDefinition,
    only: Option<&str>,
    from: Option<&str>,
) -> Result<Vec<StepId>, UseCaseError> {
    let steps = &definition.steps;
    let selected: BTreeSet<&StepId> = match (only, from) {
        (None, None) => steps.iter().map(|step| &step.id).collect(),
        (Some(_), Some(_)) => {
            return Err(UseCaseError::invalid("a run has either `only` or `from`, not both"));
        }
        (Some(step), None) => [find_step(definition, step)?].into(),
        (None, Some(step)) => {
            let mut selected = BTreeSet::from([find_step(definition, step)?]);
            // Needs come in any order in a file: go over it until nothing is added.
            loop {
                let before = selected.len();
                let dependents = steps
                    .iter()
                    .filter(|step| step.needs.iter().any(|need| selected.contains(need)));
                let dependents: Vec<_> = dependents.map(|step| &step.id).collect();
                selected.extend(dependents);
                if selected.len() == before {
                    break selected;
                }
            }
        }
    };
    Ok(steps.iter().map(|step| &step.id).filter(|id| selected.contains(id)).cloned().collect())
}

fn find_step<'a>(
    definition: &'a PipelineDefinition,
    name: &str,
) -> Result<&'a StepId, UseCaseError> {
    let ids = definition.steps.iter().map(|step| &step.id);
    ids.clone().find(|id| id.as_str() == name).ok_or_else(|| UseCaseError::NotFound {
        what: "step",
        name: name.to_owned(),
        hint: Some(format!(
            "pipeline `{}` has {}",
            definition.name,
            ids.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
        )),
    })
}

fn refresh(
    definition: &PipelineDefinition,
    wanted: Option<&ExecutionRefresh>,
) -> Result<FullRefresh, UseCaseError> {
    let parts = match wanted {
        None => return Ok(FullRefresh::AsDefined),
        Some(ExecutionRefresh::All) => return Ok(FullRefresh::All),
        Some(ExecutionRefresh::Steps(parts)) => parts,
    };
    let one = |part: &String| {
        let (step, stream) = match part.split_once(':') {
            None => (part.as_str(), None),
            Some((step, stream)) => (step, Some(stream.to_owned())),
        };
        let id = find_step(definition, step)?;
        let is_sync =
            |step: &&flexcore_domain::StepDefinition| step.id == *id && step.kind == StepKind::Sync;
        if definition.steps.iter().any(|step| is_sync(&step)) {
            Ok((id.clone(), stream))
        } else {
            Err(UseCaseError::invalid(format!("step `{id}` is not a sync; it has no bookmark")))
        }
    };
    Ok(FullRefresh::Steps(parts.iter().map(one).collect::<Result<_, _>>()?))
}
