//! `flexcore plugin conformance`

use clap::Args;

use crate::{
    ConformanceOutcome, ConformanceReport, Exit,
    failure::{Code, Failure},
    session::Session,
    text::Style,
};

/// Arguments of `plugin conformance`.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArguments {
    /// The folder with the plugin's plugin.toml, and conformance.json with settings and input to try
    /// it with
    #[arg(value_name = "FOLDER")]
    folder: String,
}

impl ConformanceArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let folder = session.host.current_folder().join(&self.folder);
        if !folder.join("plugin.toml").is_file() {
            let message = format!("there is no plugin.toml in {}", self.folder);
            return Err(Failure::new(Code::File, message)
                .hint("name the folder of a plugin; `flexcore plugin new` makes one"));
        }
        let (conforms, checks) = session.host.conformance(&folder).await?;
        let report = ConformanceReport { folder: self.folder, conforms, checks };
        session.output.result(&report, text)?;
        Ok(if report.conforms { Exit::Completed } else { Exit::Refused })
    }
}

fn text(report: &ConformanceReport, style: Style) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for check in &report.checks {
        let word = match check.outcome {
            ConformanceOutcome::Passed => "passed ",
            ConformanceOutcome::Failed => "FAILED ",
            ConformanceOutcome::Skipped => "skipped",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{word}  {}", check.name);
        for line in check.detail.iter().flat_map(|detail| detail.lines()) {
            let _ = writeln!(text, "         {line}");
        }
        if let Some(hint) = &check.hint {
            let _ = writeln!(text, "         to do: {hint}");
        }
    }
    let failed =
        report.checks.iter().filter(|check| check.outcome == ConformanceOutcome::Failed).count();
    let verdict = match (report.conforms, failed) {
        (true, _) => "it conforms".to_owned(),
        (false, 0) => "it could not be looked at as a whole".to_owned(),
        (false, failed) => format!("it does not conform: {failed} failed"),
    };
    let _ = writeln!(text, "{}", style.bold(&verdict));
    text
}
