//! Attempts of `command` steps.

use flexcore_pipeline_file as file;
use flexcore_ports::attempt::{AttemptContext, AttemptEnd, CommandProgram, CommandSettings, Shell};

use super::attempt::AttemptTask;

/// The longest line of a program that its log keeps, in bytes.
const MAX_LOG_LINE: usize = 64 * 1024;

pub(super) async fn run(
    task: &AttemptTask,
    context: AttemptContext,
    settings: file::CommandSettings,
) -> AttemptEnd {
    let program = match settings.program {
        file::CommandProgram::Argv(argv) => CommandProgram::Argv(argv),
        file::CommandProgram::Script { script, shell } => {
            let shell = match shell {
                file::Shell::Bash => Shell::Bash,
                file::Shell::Sh => Shell::Sh,
            };
            CommandProgram::Script { script, shell }
        }
    };
    let settings = CommandSettings {
        program,
        cwd: settings.cwd,
        ok_exit_codes: settings.ok_exit_codes,
        max_log_line: MAX_LOG_LINE,
    };
    task.runner.commands.run(context, settings, task.cancel.clone()).await
}
