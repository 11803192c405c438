//! A call of the binary that has ended.

use std::process::{Command, ExitStatus};

use serde_json::Value;

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) arguments: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn of(mut command: Command, arguments: &[&str]) -> Self {
        let output = command.output().expect("the binary starts");
        Self {
            arguments: arguments.join(" "),
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }

    /// It ended with this exit code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    /// It ended with 0.
    #[track_caller]
    pub(crate) fn completes(self) -> Self {
        self.ends_with(0)
    }

    /// Standard output as the one JSON document that it is.
    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("stdout is not one JSON document ({error}): {self}"))
    }

    /// The error that standard error carries under `--output json`: its last line.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        let last = self.stderr.lines().next_back().unwrap_or_default();
        let parsed = serde_json::from_str(last).or_else(|_| serde_json::from_str(&self.stderr));
        parsed.unwrap_or_else(|error| panic!("stderr is no JSON ({error}): {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { arguments, status, stdout, stderr } = self;
        writeln!(formatter, "`flexcore {arguments}` ended with {status}")?;
        write!(formatter, "--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
