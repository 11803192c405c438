//! Finding out what this machine can enforce: a jail is built as for a program, and something in it
//! tries to get out. Versions and settings are not asked; they lie (a user namespace can be allowed
//! and then refuse every mount).

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{
    cgroup::Groups,
    jailer::JailerOptions,
    report::{Control, ControlName, ControlState, SandboxReport},
};
use crate::daemon::PROBE_ARGUMENT;

/// How long the trial may take; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why it could not be found out what the machine enforces.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The executable cannot be started.
    #[error("cannot start {executable} to try out the jail")]
    Start {
        /// The executable.
        executable: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not end in time.
    #[error("trying out the jail did not end within {} seconds", PATIENCE.as_secs())]
    TimedOut,
    /// It ended without a report.
    #[error("trying out the jail gave no report ({status}): {complaint}")]
    NoReport {
        /// How it ended.
        status: String,
        /// What it printed to its standard error.
        complaint: String,
    },
}

/// Finds out what this machine can enforce. `executable` is one whose `main` calls
/// [`crate::run_if_launcher`] first. Must be called in a tokio runtime with I/O and time enabled.
pub async fn probe(executable: &Path, options: JailerOptions) -> Result<SandboxReport, ProbeError> {
    let child = tokio::process::Command::new(executable)
        .arg(PROBE_ARGUMENT)
        .arg(if options.own_users { "own-users" } else { "one-user" })
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| ProbeError::Start { executable: executable.to_owned(), source })?;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output());
    let output = output.await.map_err(|_| ProbeError::TimedOut)?;
    let output =
        output.map_err(|source| ProbeError::Start { executable: executable.to_owned(), source })?;
    let no_report = || ProbeError::NoReport {
        status: output.status.to_string(),
        complaint: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    };
    let SandboxReport { tier, mut controls, .. } =
        serde_json::from_slice(&output.stdout).map_err(|_| no_report())?;
    let groups = if options.control_groups { Groups::find().controls() } else { Vec::new() };
    for name in GROUPED {
        if let Some(control) = groups.iter().find(|control| control.name == name) {
            controls.retain(|stand_in| stand_in.name != name);
            controls.push(control.clone());
        } else if !controls.iter().any(|control| control.name == name) {
            controls.push(without_group(name, options));
        }
    }
    Ok(SandboxReport::conclude(tier, controls, &[]))
}

/// What control groups enforce.
const GROUPED: [ControlName; 5] = [
    ControlName::Memory,
    ControlName::Pids,
    ControlName::Cpu,
    ControlName::Io,
    ControlName::CgroupKill,
];

fn without_group(name: ControlName, options: JailerOptions) -> Control {
    if options.control_groups {
        Control::unavailable(name, "no control group with it can be made here")
    } else {
        Control::new(name, ControlState::DisabledByOperator)
    }
}
