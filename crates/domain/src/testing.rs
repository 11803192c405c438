//! Builders for the tests of this crate.

use serde_json::Value;

use crate::{PipelineDefinition, RetryPolicy, RunOn, StepDefinition, StepId, StepKind};

pub(crate) fn step_id(id: &str) -> StepId {
    id.parse().expect("a legal step id")
}

/// A sync step without needs.
pub(crate) fn step(id: &str) -> StepDefinition {
    StepDefinition {
        id: step_id(id),
        kind: StepKind::Sync,
        needs: vec![],
        run_on: RunOn::Completed,
        when: None,
        retry: RetryPolicy::default(),
        allow_failure: false,
    }
}

pub(crate) fn step_needing(id: &str, needs: &[&str]) -> StepDefinition {
    StepDefinition { needs: needs.iter().map(|need| step_id(need)).collect(), ..step(id) }
}

pub(crate) fn definition(name: &str, steps: Vec<StepDefinition>) -> PipelineDefinition {
    PipelineDefinition {
        name: name.parse().expect("a legal pipeline name"),
        description: None,
        owner: None,
        tags: vec![],
        steps,
        document: Value::Null,
    }
}
