//! From what went wrong to the error that people read.

use std::{io, path::PathBuf};

use flexcore_domain::ErrorClass;
use flexcore_ports::attempt::AttemptError;
use flexcore_sandbox::{ExitStatus, HousingError, out_of_memory_text};

use crate::{
    catalog::CatalogRulesError,
    course::Fault,
    diagnosis::Diagnosis,
    plugin::{PluginName, Role},
    text::chain,
};

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
    Spawn { plugin: PluginName, source: HousingError },
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

/// One program and what it said.
pub(crate) struct Witness {
    pub(crate) plugin: PluginName,
    pub(crate) said: Diagnosis,
    /// The memory that it could have, if that was too little.
    pub(crate) memory_ran_out: Option<u64>,
}

/// Everything that explains faults.
pub(crate) struct Evidence {
    pub(crate) tap: Witness,
    pub(crate) target: Witness,
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
        let plugin = &witness.plugin;
        let what = match witness.memory_ran_out {
            None => format!("{plugin} {doing}: {status}"),
            Some(limit) => {
                let ending = out_of_memory_text(limit);
                format!("{plugin} {doing}: it {ending} ({status})")
            }
        };
        let message = with_cause(&what, &witness.said);
        let (class, exit_code) = witness.class(status);
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

    fn class(&self, fault: &Fault) -> (ErrorClass, Option<i32>) {
        match fault {
            Fault::Ended { status, .. } => self.witness(fault).class(*status),
            Fault::StoppedReading { .. } => (ErrorClass::ExitCode, Some(0)),
            Fault::Pump(_) | Fault::Refused(_) | Fault::PumpPanicked => (ErrorClass::Refused, None),
        }
    }

    fn describe(&self, fault: &Fault) -> String {
        let Witness { plugin, said, memory_ran_out } = self.witness(fault);
        match (fault, memory_ran_out) {
            (Fault::Ended { status, .. }, Some(limit)) => {
                let ending = out_of_memory_text(*limit);
                with_cause(&format!("{plugin} {ending} ({status})"), said)
            }
            (Fault::Ended { status: status @ ExitStatus::Code(_), .. }, None) => {
                with_cause(&format!("{plugin} failed with {status}"), said)
            }
            (Fault::Ended { status: status @ ExitStatus::Signal(_), .. }, None) => {
                with_cause(&format!("{plugin} was ended by {status}"), said)
            }
            (Fault::Pump(error), _) => format!("{plugin}: {}", chain(error)),
            (Fault::StoppedReading { unread: 0 }, _) => {
                format!("{plugin} ended or closed its input before it had read everything")
            }
            (Fault::StoppedReading { unread }, _) => {
                format!("{plugin} ended and left the last {unread} bytes of its input unread")
            }
            (Fault::Refused(refusal), _) => refusal.message.clone(),
            (Fault::PumpPanicked, _) => {
                "flexcore itself failed while it handed lines over; please report it".to_owned()
            }
        }
    }
}

impl Witness {
    const fn class(&self, status: ExitStatus) -> (ErrorClass, Option<i32>) {
        match (status, self.memory_ran_out) {
            (ExitStatus::Code(code), Some(_)) => (ErrorClass::Oom, Some(code)),
            (ExitStatus::Signal(_), Some(_)) => (ErrorClass::Oom, None),
            (ExitStatus::Code(code), None) => (ErrorClass::ExitCode, Some(code)),
            (ExitStatus::Signal(_), None) => (ErrorClass::Signal, None),
        }
    }
}

fn with_cause(what: &str, said: &Diagnosis) -> String {
    match said.cause() {
        Some(cause) => format!("{what}: {cause}"),
        None => format!("{what} and wrote nothing to stderr"),
    }
}
