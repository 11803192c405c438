//! What a verb fails with.

use flexcore_api::ErrorBody;
use flexcore_app::{RunError, UseCaseError};
use flexcore_pipeline_file::Diagnostics;

use crate::{Exit, HostError, HostErrorKind};

/// The stable codes of errors that the command line itself finds; each has a page in
/// `docs/errors`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The arguments are wrong.
    Usage,
    /// A store of a kind that this version does not have.
    StoreKind,
    /// A setting of the environment that cannot be.
    Setting,
    /// An interrupted execution is there already.
    Interrupted,
    /// A file could not be read or written.
    File,
    /// `init` would overwrite a file.
    Exists,
    /// A step that does not exist or is no sync.
    Step,
    /// A text that is no Singer state.
    State,
    /// Standard output could not be written, or signals not be received.
    Process,
    /// A reply that cannot be understood.
    Reply,
    /// Another process drives the execution.
    Taken,
    /// The execution belongs to a newer version.
    Newer,
    /// The lease of the execution was lost.
    Lease,
    /// A file that is no exported log.
    LogFile,
    /// Batches that cannot be taken over.
    Copy,
    /// A key of checkpoints that cannot be used.
    Key,
    /// Nobody holds the store whose log was to be changed.
    NoServer,
    /// A verb that works on the machine itself, while a server is named.
    OnlyHere,
}

impl Code {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "FC0501",
            Self::StoreKind => "FC0502",
            Self::Setting => "FC0503",
            Self::Interrupted => "FC0504",
            Self::File => "FC0505",
            Self::Exists => "FC0506",
            Self::Step => "FC0507",
            Self::State => "FC0508",
            Self::Process => "FC0509",
            Self::Reply => "FC0510",
            Self::Taken => "FC0511",
            Self::Newer => "FC0512",
            Self::Lease => "FC0513",
            Self::LogFile => "FC0514",
            Self::Copy => "FC0515",
            Self::Key => "FC0516",
            Self::NoServer => "FC0762",
            Self::OnlyHere => "FC0784",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Self::Usage => Exit::Usage,
            Self::StoreKind
            | Self::Setting
            | Self::Interrupted
            | Self::Exists
            | Self::Step
            | Self::State
            | Self::Taken
            | Self::LogFile
            | Self::Copy
            | Self::Key
            | Self::NoServer
            | Self::OnlyHere => Exit::Refused,
            Self::File | Self::Process | Self::Reply | Self::Newer | Self::Lease => Exit::System,
        }
    }
}

/// Why a verb did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Pipeline or project files are wrong.
    Files(Diagnostics),
    /// Anything else.
    Error {
        /// How the process ends.
        exit: Exit,
        /// What is shown.
        body: ErrorBody,
    },
}

impl Failure {
    /// An error that the command line itself found.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let body =
            ErrorBody { code: code.as_str().to_owned(), message: message.into(), hint: None };
        Self::Error { exit: code.exit(), body }
    }

    /// The same with what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Error { exit, body } => {
                Self::Error { exit, body: ErrorBody { hint: Some(hint.into()), ..body } }
            }
            files @ Self::Files(_) => files,
        }
    }

    /// The same with more to know, after what to do.
    pub(crate) fn also(self, more: &str) -> Self {
        match self {
            Self::Error { exit, body } => {
                let hint =
                    body.hint.map_or_else(|| more.to_owned(), |hint| format!("{hint}; {more}"));
                Self::Error { exit, body: ErrorBody { hint: Some(hint), ..body } }
            }
            files @ Self::Files(_) => files,
        }
    }

    /// How the process ends.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Files(_) => Exit::InvalidFile,
            Self::Error { exit, .. } => *exit,
        }
    }

    /// Whether this error of the bus says that something does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Error { body, .. } if body.code == "FC0201")
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Files(diagnostics)
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        Self::Error { exit: Exit::of_error_code(&body.code), body }
    }
}

impl From<UseCaseError> for Failure {
    fn from(error: UseCaseError) -> Self {
        error.body().into()
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::UseCase(error) => error.into(),
            RunError::LostOwnership { .. } | RunError::Held { .. } => {
                Self::new(Code::Taken, error.to_string())
                    .hint("`flexcore execution show last` tells how it gets on")
            }
            RunError::LostLease { .. } => Self::new(Code::Lease, error.to_string()).hint(
                "`--resume` goes on with it, unless another process already does; \
                 a longer FLEXCORE_LEASE_TTL survives longer outages of the store",
            ),
            RunError::NewerRules { .. } => Self::new(Code::Newer, error.to_string()),
            RunError::Stopped { .. } => Self::new(Code::Interrupted, error.to_string()),
        }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let exit = match error.kind {
            HostErrorKind::Held { .. } | HostErrorKind::Absent | HostErrorKind::Refused => {
                Exit::Refused
            }
            HostErrorKind::NewerVersion | HostErrorKind::ReadOnly | HostErrorKind::Failed => {
                Exit::System
            }
        };
        Self::Error { exit, body: error.body() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_error(kind: HostErrorKind) -> HostError {
        HostError { kind, code: "FC0402", message: "no".to_owned(), hint: None }
    }

    #[test]
    fn a_held_store_is_a_refusal_and_a_newer_one_a_system_error() {
        let held = HostErrorKind::Held { pid: Some(7), purpose: None };
        assert_eq!(Failure::from(host_error(held)).exit(), Exit::Refused);
        assert_eq!(Failure::from(host_error(HostErrorKind::Absent)).exit(), Exit::Refused);
        assert_eq!(Failure::from(host_error(HostErrorKind::NewerVersion)).exit(), Exit::System);
        assert_eq!(Failure::from(host_error(HostErrorKind::ReadOnly)).exit(), Exit::System);
    }

    #[test]
    fn errors_of_a_use_case_keep_their_code_and_hint() {
        let error = UseCaseError::NotFound {
            what: "pipeline",
            name: "x".to_owned(),
            hint: Some("look".to_owned()),
        };
        let failure = Failure::from(error);
        assert!(failure.is_not_found());
        assert_eq!(failure.exit(), Exit::Refused);
        let Failure::Error { body, .. } = failure else { panic!("an error body") };
        assert_eq!((body.code.as_str(), body.hint.as_deref()), ("FC0201", Some("look")));
    }

    #[test]
    fn codes_of_the_command_line_are_distinct() {
        let codes = [
            Code::Usage,
            Code::StoreKind,
            Code::Setting,
            Code::Interrupted,
            Code::File,
            Code::Exists,
            Code::Step,
            Code::State,
            Code::Process,
            Code::Reply,
            Code::Taken,
            Code::Newer,
            Code::LogFile,
            Code::Copy,
            Code::Key,
            Code::Lease,
        ];
        let texts: std::collections::BTreeSet<_> = codes.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), codes.len());
    }
}
