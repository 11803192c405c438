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

/// What a jail enforces on a machine, found out by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxReportView {
    /// The operator's wish: `strict`, `best_effort` or `off`.
    pub policy: String,
    /// How strong a jail the machine allows: `root`, `user_ns`, `restricted`, `none`.
    pub tier: String,
    /// The kernel's release.
    pub kernel: String,
    /// Every control.
    pub controls: Vec<ProbedControl>,
    /// Whether every control is enforced that each jail requires.
    pub strict_ok: bool,
}

/// One control as a machine can enforce it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProbedControl {
    /// Its name, such as `seccomp`.
    pub name: String,
    /// `enforced`, `best_effort`, `unavailable` or `disabled_by_operator`.
    pub state: String,
    /// Whether each jail requires it.
    pub required: bool,
    /// By what it is enforced, or why it is not.
    pub detail: Option<String>,
    /// What to do where it is not enforced.
    pub remedy: Option<String>,
}

/// What `doctor` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorReport {
    /// Everything that was looked at.
    pub checks: Vec<DoctorCheck>,
    /// What a jail enforces here; `None` if that cannot be found out.
    pub sandbox: Option<SandboxReportView>,
    /// Whether nothing that was looked at would stop a run.
    pub ready: bool,
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DoctorCheck {
    /// What.
    pub name: String,
    /// How it is.
    pub state: DoctorState,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How something is that `doctor` looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoctorState {
    /// As it should be.
    Good,
    /// Something is missing that not every run needs.
    Warning,
    /// Runs cannot succeed.
    Failed,
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
