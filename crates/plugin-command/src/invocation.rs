//! From a step's settings to a request for the launcher.

use std::{
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use flexcore_ports::attempt::{AttemptContext, CommandProgram, CommandSettings, Shell};
use flexcore_sandbox::{SpawnRequest, Stdin};

/// The attempt's private folder.
const WORK_VARIABLE: &str = "FLEXCORE_WORK";
/// The file in which a command leaves its output.
const OUTPUT_VARIABLE: &str = "FLEXCORE_OUTPUT";
/// The execution's id.
const EXECUTION_VARIABLE: &str = "FLEXCORE_EXECUTION";
/// The step's id.
const STEP_VARIABLE: &str = "FLEXCORE_STEP";

/// Why a command cannot be run as its settings say.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvocationError {
    /// The working directory is not in the project.
    #[error(
        "`cwd: {cwd}` leads out of the project folder {root}; name a folder inside it, or change directory in the command itself"
    )]
    OutsideProject { cwd: PathBuf, root: PathBuf },
}

/// Where the attempt's output file is.
pub(crate) fn output_file(work_folder: &Path) -> PathBuf {
    work_folder.join("output.json")
}

/// The name of what runs, for messages.
pub(crate) fn program_name(program: &CommandProgram) -> String {
    match program {
        CommandProgram::Argv(argv) => {
            argv.first().map_or_else(|| "the command".to_owned(), |program| format!("`{program}`"))
        }
        CommandProgram::Script { .. } => "the script".to_owned(),
    }
}

pub(crate) fn request(
    context: &AttemptContext,
    settings: &CommandSettings,
) -> Result<SpawnRequest, InvocationError> {
    Ok(SpawnRequest {
        argv: argv(&settings.program),
        cwd: working_directory(&context.project_root, settings.cwd.as_deref())?,
        environment: environment(context),
        stdin: Stdin::Null,
        attempt: context.marker(),
    })
}

/// A script is an argument rather than a file, so that the shell's messages say `bash: line 3: …`.
fn argv(program: &CommandProgram) -> Vec<OsString> {
    match program {
        CommandProgram::Argv(argv) => argv.iter().map(OsString::from).collect(),
        CommandProgram::Script { script, shell } => {
            let shell: &[&str] = match shell {
                Shell::Bash => &["bash", "-euo", "pipefail", "-c"],
                Shell::Sh => &["sh", "-eu", "-c"],
            };
            shell.iter().copied().chain([script.as_str()]).map(OsString::from).collect()
        }
    }
}

fn environment(context: &AttemptContext) -> Vec<(OsString, OsString)> {
    let ours = [
        (WORK_VARIABLE, context.work_folder.clone().into_os_string()),
        (OUTPUT_VARIABLE, output_file(&context.work_folder).into_os_string()),
        (EXECUTION_VARIABLE, context.execution.to_string().into()),
        (STEP_VARIABLE, context.step.to_string().into()),
    ];
    let mut environment = context.environment.clone();
    environment.retain(|(name, _)| ours.iter().all(|(our, _)| name != our));
    environment.extend(ours.map(|(name, value)| (name.into(), value)));
    environment
}

/// The folder that `cwd` names, which may not leave the project by way of `..` or an absolute path.
/// Symbolic links are followed: who can make one in the project may also write the pipeline.
fn working_directory(root: &Path, cwd: Option<&Path>) -> Result<PathBuf, InvocationError> {
    let Some(cwd) = cwd else { return Ok(root.to_owned()) };
    let folder = without_dots(&root.join(cwd));
    if folder.starts_with(without_dots(root)) {
        Ok(folder)
    } else {
        Err(InvocationError::OutsideProject { cwd: cwd.to_owned(), root: root.to_owned() })
    }
}

/// The path with `.` and `..` resolved by their text.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_directory_starts_at_the_project_root_and_stays_in_it() {
        let root = Path::new("/project");
        let folder = |cwd: &str| working_directory(root, Some(Path::new(cwd)));
        assert_eq!(working_directory(root, None), Ok(root.to_owned()));
        assert_eq!(folder("scripts/./a/.."), Ok("/project/scripts".into()));
        assert_eq!(folder("/project/scripts"), Ok("/project/scripts".into()));
        for outside in ["..", "/tmp", "scripts/../../other", "/projects"] {
            assert!(folder(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_script_is_run_by_a_shell_that_stops_at_the_first_error() {
        let script = |shell| argv(&CommandProgram::Script { script: "a | b".into(), shell });
        assert_eq!(script(Shell::Bash), ["bash", "-euo", "pipefail", "-c", "a | b"]);
        assert_eq!(script(Shell::Sh), ["sh", "-eu", "-c", "a | b"]);
    }
}
