//! What held programs, and what they used of their rights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What held the programs of an attempt, and what they did with their rights.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepSandboxView {
    /// The attempt's number.
    pub attempt: u32,
    /// What held each of its programs.
    pub programs: Vec<IsolationView>,
    /// The capabilities that they had, as files write them.
    pub granted: Vec<String>,
    /// The capabilities that were asked for in vain.
    pub refused: Vec<String>,
    /// What they used of their rights, and what they tried in vain.
    pub uses: Vec<CapabilityUseView>,
}

/// What held a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IsolationView {
    /// Which program, where there are several: `tap`, `target`.
    pub part: Option<String>,
    /// Where it ran: `jail`, `in_process`, `remote` or `unconfined`.
    pub place: String,
    /// How strong a jail the machine allows: `root`, `user_ns`, `restricted`, `none`.
    pub tier: Option<String>,
    /// What was enforced, control by control.
    pub controls: Vec<ControlView>,
}

/// One control of a jail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlView {
    /// Its name, such as `seccomp`.
    pub name: String,
    /// `enforced`, `best_effort`, `unavailable` or `disabled_by_operator`.
    pub state: String,
    /// Whether nothing is to run without it.
    pub required: bool,
    /// By what it is enforced, or why it is not.
    pub detail: Option<String>,
}

/// How a program used one capability, or tried to use one that it did not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapabilityUseView {
    /// The capability, as files write it.
    pub capability: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// How often.
    pub times: u64,
    /// How many bytes went either way, where that is known.
    pub bytes: u64,
}
