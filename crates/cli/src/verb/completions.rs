//! `flexcore completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{Cli, Exit, failure::Failure, session::Session};

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArguments {
    pub(super) fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "flexcore", &mut script);
        session.output.raw(&script)?;
        Ok(Exit::Completed)
    }
}
