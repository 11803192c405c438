//! From what went wrong to the error that people read.

use std::{io, path::PathBuf};

use flexcore_domain::ErrorClass;
use flexcore_ports::attempt::AttemptError;
use flexcore_sandbox::{ExitStatus, SpawnError};

use crate::{
    catalog::CatalogRulesError,
    course::Fault,
    diagnosis::Diagnosis,
    plugin::{PluginName, Role},
    text::chain,
};

/// Number of SIGKILL, which is also how the kernel ends a process when memory runs out.
const SIGKILL: i32 = 9;

/// Why a sync did not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// Neither memory nor disk took a private folder.
    #[error("cannot make the private folder {path}; check its permissions and free space")]
    Folder { path: PathBuf, source: io::Error },
    /// A config, state or catalog file cannot be written.
    #[error("cannot write `{file}` into a private folder; check the free space there")]
    File { file: &'static str, source: io::Error },
    /// A program cannot be started.
    #[error("cannot start {plugin}")]
    Spawn { plugin: PluginName, source: SpawnError },
    /// Rules and catalog do not go together.
    #[error("{plugin}")]
    Rules { plugin: PluginName, source: CatalogRulesError },
    /// The catalog is needed and too large to be true.
    #[error("{plugin} printed more than {limit} bytes for `--discover`, which is no catalog")]
    CatalogTooLarge { plugin: PluginName, limit: usize },
    /// The system refused a thread or a pipe.
    #[error("the system refused what a sync needs (threads, memory or open files)")]
    Exhausted(#[source] io::Error),
}

impl From<PrepareError> for AttemptError {
    fn from(error: PrepareError) -> Self {
        Self {
            class: ErrorClass::Refused,
            message: chain(&error),
            exit_code: None,
            stderr_tail: Vec::new(),
        }
    }
}

/// What discovery that nobody can cancel would say.
pub(crate) fn cancelled() -> AttemptError {
    let message = "discovery was cancelled".to_owned();
    AttemptError { class: ErrorClass::Refused, message, exit_code: None, stderr_tail: Vec::new() }
}

/// The kernel's count of processes that it ended because memory ran out (`oom_kill` in
/// proc_vmstat(5)); 0 where it does not say.
pub(crate) fn out_of_memory_kills() -> u64 {
    let statistics = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let line = statistics.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// One program and what it said.
pub(crate) struct Witness {
    pub(crate) plugin: PluginName,
    pub(crate) said: Diagnosis,
}

/// Everything that explains faults.
pub(crate) struct Evidence {
    pub(crate) tap: Witness,
    pub(crate) target: Witness,
    /// The kernel ended some process for lack of memory while the sync ran.
    pub(crate) memory_ran_out: bool,
}

impl Evidence {
    /// The error of an attempt: the first fault first, the others after it.
    pub(crate) fn error(&self, faults: &[Fault]) -> Option<AttemptError> {
        let first = faults.first()?;
        let (class, exit_code) = self.class(first);
        let messages: Vec<String> = faults.iter().map(|fault| self.describe(fault)).collect();
        Some(AttemptError {
            class,
            message: messages.join("\nafter that: "),
            exit_code,
            stderr_tail: self.witness(first).said.tail(),
        })
    }

    /// The error of a single program that ended badly.
    pub(crate) fn of_end(witness: &Witness, status: ExitStatus, doing: &str) -> AttemptError {
        let message = with_cause(&format!("{} {doing}: {status}", witness.plugin), &witness.said);
        let (class, exit_code) = match status {
            ExitStatus::Code(code) => (ErrorClass::ExitCode, Some(code)),
            ExitStatus::Signal(_) => (ErrorClass::Signal, None),
        };
        AttemptError { class, message, exit_code, stderr_tail: witness.said.tail() }
    }

    fn witness(&self, fault: &Fault) -> &Witness {
        match fault {
            Fault::Ended { role: Role::Target, .. } | Fault::StoppedReading { .. } => &self.target,
            Fault::Ended { role: Role::Tap, .. }
            | Fault::Pump(_)
            | Fault::Refused(_)
            | Fault::PumpPanicked => &self.tap,
        }
    }

    fn is_out_of_memory(&self, status: ExitStatus) -> bool {
        self.memory_ran_out && status == ExitStatus::Signal(SIGKILL)
    }

    fn class(&self, fault: &Fault) -> (ErrorClass, Option<i32>) {
        match fault {
            Fault::Ended { status: ExitStatus::Code(code), .. } => {
                (ErrorClass::ExitCode, Some(*code))
            }
            Fault::Ended { status, .. } if self.is_out_of_memory(*status) => {
                (ErrorClass::Oom, None)
            }
            Fault::Ended { .. } => (ErrorClass::Signal, None),
            Fault::StoppedReading { .. } => (ErrorClass::ExitCode, Some(0)),
            Fault::Pump(_) | Fault::Refused(_) | Fault::PumpPanicked => (ErrorClass::Refused, None),
        }
    }

    fn describe(&self, fault: &Fault) -> String {
        let Witness { plugin, said } = self.witness(fault);
        match fault {
            Fault::Ended { status, .. } if self.is_out_of_memory(*status) => with_cause(
                &format!("{plugin} was ended by the kernel because memory ran out ({status})"),
                said,
            ),
            Fault::Ended { status: status @ ExitStatus::Code(_), .. } => {
                with_cause(&format!("{plugin} failed with {status}"), said)
            }
            Fault::Ended { status: status @ ExitStatus::Signal(_), .. } => {
                with_cause(&format!("{plugin} was ended by {status}"), said)
            }
            Fault::Pump(error) => format!("{plugin}: {}", chain(error)),
            Fault::StoppedReading { unread: 0 } => {
                format!("{plugin} ended or closed its input before it had read everything")
            }
            Fault::StoppedReading { unread } => {
                format!("{plugin} ended and left the last {unread} bytes of its input unread")
            }
            Fault::Refused(refusal) => refusal.message.clone(),
            Fault::PumpPanicked => {
                "flexcore itself failed while it handed lines over; please report it".to_owned()
            }
        }
    }
}

fn with_cause(what: &str, said: &Diagnosis) -> String {
    match said.cause() {
        Some(cause) => format!("{what}: {cause}"),
        None => format!("{what} and wrote nothing to stderr"),
    }
}
