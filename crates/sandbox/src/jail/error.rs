//! Why a program could not be started in a jail.

use std::io;

use super::report::{ControlName, SandboxReport};
use crate::SpawnError;

/// Why a program could not be started in a jail.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The spec cannot be carried out on any machine.
    #[error("the jail cannot be described like this: {problem}")]
    Spec {
        /// What is wrong.
        problem: String,
    },
    /// The machine does not enforce what the spec requires; the program was not started.
    #[error("this machine does not enforce what the program must be held by: {}", listed(.report))]
    Missing {
        /// What it does enforce, and what is missing.
        report: Box<SandboxReport>,
    },
    /// A step of building the jail failed; the program was not started.
    #[error("cannot build the jail ({step}: {what})")]
    Step {
        /// The step.
        step: String,
        /// What it was about: a path, an address, a limit.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program cannot be started inside its jail.
    #[error(
        "cannot start `{program}` in its jail; is it in a folder that the jail shows, and may it be executed?"
    )]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// What fails without a jail too.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

fn listed(report: &SandboxReport) -> String {
    let with_remedy = |name: &ControlName| format!("{name} ({})", name.remedy());
    report.missing().iter().map(with_remedy).collect::<Vec<_>>().join("; ")
}
