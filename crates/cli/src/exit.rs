//! What a process ends with.

use std::process::ExitCode;

use flexcore_domain::ExecutionStatus;

/// How a verb ended. The numbers are part of the interface: scripts and orchestrators act on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It did what it was asked for; an execution completed.
    Completed,
    /// The execution failed, or a check found a fault.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// A pipeline or project file is wrong.
    InvalidFile,
    /// It was refused: the store is in use, something does not exist, or a rule forbids it.
    Refused,
    /// The store or the system failed.
    System,
    /// The execution was cancelled, or left interrupted, by Ctrl-C or otherwise.
    Cancelled,
}

/// The exit codes as `--help` shows them.
pub(crate) const HELP: &str = "\
Exit codes:
    0  it did what it was asked for; the execution completed
    1  the execution failed, or `events verify` found a fault
    2  the arguments are wrong
    3  a pipeline or project file is wrong
    4  refused: the store is in use, an interrupted execution is there, something does not exist,
       or a rule forbids it
    5  the store or the system failed
  130  the execution was cancelled, by Ctrl-C or otherwise";

/// Codes of servers and the way to them that are nobody's decision.
const SERVER_TROUBLES: [&str; 5] = ["FC0709", "FC0710", "FC0780", "FC0781", "FC0782"];

impl Exit {
    /// The number that the process ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::InvalidFile => 3,
            Self::Refused => 4,
            Self::System => 5,
            Self::Cancelled => 130,
        }
    }

    /// How a verb ends that drove an execution to this status. One that is not at its end was
    /// left interrupted.
    pub(crate) const fn of_execution(status: ExecutionStatus) -> Self {
        match status {
            ExecutionStatus::Completed => Self::Completed,
            ExecutionStatus::Failed => Self::Failed,
            ExecutionStatus::Cancelled | ExecutionStatus::Queued | ExecutionStatus::Running => {
                Self::Cancelled
            }
        }
    }

    /// How a verb ends that was answered with an error of this code: the first digit group says
    /// where it comes from.
    pub(crate) fn of_error_code(code: &str) -> Self {
        match code.get(..4) {
            Some("FC01") => Self::InvalidFile,
            // What plugins and jails refuse is a rule too.
            Some("FC02" | "FC06") => Self::Refused,
            // A server that refuses; one that is away, slow or broken is trouble of the system.
            Some("FC07") if !SERVER_TROUBLES.contains(&code) => Self::Refused,
            _ => Self::System,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Exit; 7] = [
        Exit::Completed,
        Exit::Failed,
        Exit::Usage,
        Exit::InvalidFile,
        Exit::Refused,
        Exit::System,
        Exit::Cancelled,
    ];

    #[test]
    fn every_exit_code_is_in_the_help() {
        for exit in ALL {
            let line = format!("{:>5}  ", exit.code());
            assert!(HELP.lines().any(|l| l.starts_with(&line)), "{exit:?}");
        }
    }

    #[test]
    fn an_execution_that_is_not_at_its_end_counts_as_cancelled() {
        assert_eq!(Exit::of_execution(ExecutionStatus::Running), Exit::Cancelled);
        assert_eq!(Exit::of_execution(ExecutionStatus::Completed), Exit::Completed);
        assert_eq!(Exit::of_execution(ExecutionStatus::Queued), Exit::Cancelled);
        assert_eq!(Exit::of_execution(ExecutionStatus::Failed), Exit::Failed);
    }

    #[test]
    fn error_codes_map_by_their_group() {
        assert_eq!(Exit::of_error_code("FC0103"), Exit::InvalidFile);
        assert_eq!(Exit::of_error_code("FC0203"), Exit::Refused);
        assert_eq!(Exit::of_error_code("FC0301"), Exit::System);
        assert_eq!(Exit::of_error_code("FC0701"), Exit::Refused);
        assert_eq!(Exit::of_error_code("FC0780"), Exit::System);
        assert_eq!(Exit::of_error_code("?"), Exit::System);
        assert_eq!(Exit::of_error_code("é"), Exit::System);
    }
}
