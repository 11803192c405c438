//! The stored form of a definition.

use std::time::Duration;

use flexcore_domain::{
    Condition, ErrorClass, Jitter, PipelineDefinition, PipelineName, RetryPolicy, RunOn,
    StepDefinition, StepId, StepKind, StepReference,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::form::{self, remote_form};

#[derive(Serialize, Deserialize)]
#[serde(remote = "PipelineDefinition", deny_unknown_fields)]
struct PipelineDefinitionForm {
    #[serde(with = "form")]
    name: PipelineName,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    tags: Vec<String>,
    #[serde(with = "form")]
    steps: Vec<StepDefinition>,
    #[serde(with = "form")]
    document: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepDefinition", deny_unknown_fields)]
struct StepDefinitionForm {
    #[serde(with = "form")]
    id: StepId,
    #[serde(with = "form")]
    kind: StepKind,
    #[serde(with = "form")]
    needs: Vec<StepId>,
    #[serde(with = "form")]
    run_on: RunOn,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    when: Option<Condition>,
    #[serde(with = "form")]
    retry: RetryPolicy,
    allow_failure: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepKind", rename_all = "snake_case")]
enum StepKindForm {
    Sync,
    Command,
    Plugin,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunOn", rename_all = "snake_case")]
enum RunOnForm {
    Completed,
    Failed,
    Ended,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Condition", deny_unknown_fields)]
struct ConditionForm {
    expression: String,
    #[serde(with = "form")]
    reads: Vec<StepReference>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    constant: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepReference", deny_unknown_fields)]
struct StepReferenceForm {
    step: String,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    output_field: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RetryPolicy", deny_unknown_fields)]
struct RetryPolicyForm {
    attempts: u32,
    #[serde(rename = "initial_us", with = "form")]
    initial: Duration,
    #[serde(with = "factor")]
    factor: f64,
    #[serde(rename = "max_us", with = "form")]
    max: Duration,
    #[serde(with = "form")]
    jitter: Jitter,
    #[serde(with = "form")]
    errors: Vec<ErrorClass>,
}

/// JSON has no number for infinity or for what is not a number. Neither is a factor that means
/// anything, but an event that can be written must be readable: they are stored as the finite
/// factors that lead to the same waits.
mod factor {
    use super::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(factor: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = if factor.is_nan() { 1.0 } else { factor.clamp(f64::MIN, f64::MAX) };
        serializer.serialize_f64(finite)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        f64::deserialize(deserializer)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Jitter", rename_all = "snake_case")]
enum JitterForm {
    None,
    Full,
}

/// The classes of errors; failed attempts are stored with these words too.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ErrorClass", rename_all = "snake_case")]
enum ErrorClassForm {
    ExitCode,
    Signal,
    Timeout,
    Network,
    Oom,
    Refused,
    Any,
}

remote_form! {
    PipelineDefinition => PipelineDefinitionForm,
    StepDefinition => StepDefinitionForm,
    StepKind => StepKindForm,
    RunOn => RunOnForm,
    Condition => ConditionForm,
    StepReference => StepReferenceForm,
    RetryPolicy => RetryPolicyForm,
    Jitter => JitterForm,
    ErrorClass => ErrorClassForm,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    #[test]
    fn a_factor_that_json_cannot_say_stays_readable() {
        for (factor, stored) in
            [(f64::INFINITY, f64::MAX), (f64::NEG_INFINITY, f64::MIN), (f64::NAN, 1.0), (1.5, 1.5)]
        {
            let policy = RetryPolicy { factor, ..RetryPolicy::default() };
            let mut text = Vec::new();
            policy.write(&mut serde_json::Serializer::new(&mut text)).unwrap();
            let mut deserializer = serde_json::Deserializer::from_slice(&text);
            let read = RetryPolicy::read(&mut deserializer).unwrap();
            assert_eq!(read, RetryPolicy { factor: stored, ..RetryPolicy::default() });
        }
    }
}
