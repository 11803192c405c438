//! `flexcore sandbox report` and `flexcore doctor`

use clap::Subcommand;

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{doctor_text, sandbox_text},
};

/// Verbs of the sandbox.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Show what a jail enforces on this machine, control by control, found out by trying
    Report,
}

impl SandboxVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let Self::Report = self;
        session.only_here("sandbox report", "it tries out this machine")?;
        let place = session.here()?.place;
        let report = session.host.sandbox_report(&place).await?;
        session.output.result(&report, sandbox_text)?;
        let would_refuse = report.policy == "strict" && !report.strict_ok;
        Ok(if would_refuse { Exit::Failed } else { Exit::Completed })
    }
}

/// A look at everything that a run needs. Something that would stop one is a fault.
pub(super) async fn doctor(session: &Session<'_>) -> Result<Exit, Failure> {
    session.only_here("doctor", "it looks at this machine")?;
    let place = session.here()?.place;
    let report = session.host.doctor(&place).await;
    session.output.result(&report, doctor_text)?;
    Ok(if report.ready { Exit::Completed } else { Exit::Failed })
}
