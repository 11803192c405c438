//! The stored form of what held the programs of an attempt and what they used of their rights.

use std::borrow::Cow;

use flexcore_domain::{CapabilityUse, Isolation, StepId, execution::ExecutionEvent};
use serde::{Deserialize, Serialize};

use crate::{form, payload::event_type};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepSandboxed<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    pub(super) attempt: u32,
    #[serde(with = "form")]
    pub(super) isolation: Cow<'a, [Isolation]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) granted: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub(super) refused: Cow<'a, [String]>,
}
event_type!(StepSandboxed<'_>, "StepSandboxed", 1);

impl From<StepSandboxed<'_>> for ExecutionEvent {
    fn from(event: StepSandboxed<'_>) -> Self {
        let StepSandboxed { step, attempt, isolation, granted, refused } = event;
        Self::StepSandboxed {
            step: step.into_owned(),
            attempt,
            isolation: isolation.into_owned(),
            granted: granted.into_owned(),
            refused: refused.into_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepCapabilitiesUsed<'a> {
    #[serde(with = "form")]
    pub(super) step: Cow<'a, StepId>,
    pub(super) attempt: u32,
    #[serde(with = "form")]
    pub(super) uses: Cow<'a, [CapabilityUse]>,
}
event_type!(StepCapabilitiesUsed<'_>, "StepCapabilitiesUsed", 1);

impl From<StepCapabilitiesUsed<'_>> for ExecutionEvent {
    fn from(StepCapabilitiesUsed { step, attempt, uses }: StepCapabilitiesUsed<'_>) -> Self {
        Self::StepCapabilitiesUsed { step: step.into_owned(), attempt, uses: uses.into_owned() }
    }
}

fn is_empty(texts: &[String]) -> bool {
    texts.is_empty()
}
