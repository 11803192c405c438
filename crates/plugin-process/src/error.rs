//! What can go wrong with a plugin that is a process, and what it is called outside.

use std::time::Duration;

use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::{ByteSize, HandshakeError};
use flexcore_ports::PluginError;
use flexcore_sandbox::{ContainmentError, ExitStatus, JailError};

use crate::grpc::GrpcError;

/// Why a process of a plugin could not be had, or a call of it went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It was refused before anything ran.
    #[error("{what}")]
    Refused { what: String },
    /// What it may do cannot be made into a jail.
    #[error("cannot build its jail: {0}")]
    Containment(#[from] ContainmentError),
    /// The program was not started.
    #[error("cannot be started: {}", chain(.0))]
    Jail(#[from] Box<JailError>),
    /// Something of ours went wrong around the start.
    #[error("cannot be started: {what}: {source}")]
    Machine { what: &'static str, source: std::io::Error },
    /// Its first line is not what it has to be.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// It ended before it served.
    #[error("{}", ended_early(*.status))]
    EndedEarly { status: Option<ExitStatus> },
    /// It printed nothing.
    #[error(
        "the program printed no handshake within {after:?}; `start` in its limits says how long it may take"
    )]
    Silent { after: Duration },
    /// What it calls its socket cannot be used.
    #[error("its socket `{name}` {what}")]
    Socket { name: String, what: String },
    /// It is not the plugin that was registered.
    #[error("{what}")]
    Mismatch { what: String },
    /// It does not keep to the protocol of executions.
    #[error("{what}")]
    Protocol { what: String },
    /// A call of it gave no answer.
    #[error("{0}")]
    Grpc(#[from] GrpcError),
    /// It says that it is not well.
    #[error("it says that it is not well: {detail}")]
    Unwell { detail: String },
    /// It ended during a call.
    #[error("the program ended ({status}) in the middle of a call")]
    Ended { status: ExitStatus },
    /// The kernel ended it for its memory.
    #[error(
        "the program was ended for lack of memory; it may use {}, and `memory` in its limits says so",
        ByteSize(*.limit)
    )]
    OutOfMemory { limit: u64 },
    /// No process of it is free.
    #[error(
        "all {max} processes of the plugin are busy, {what}; `max` in its `[pool]` says how many there may be"
    )]
    Busy { max: u32, what: String },
    /// It took too long.
    #[error("{what}")]
    TooLate { what: String },
    /// It says itself that it cannot do it.
    #[error("{message}")]
    Failed { class: ErrorClass, message: String },
    /// The caller does not want it any more.
    #[error("the call was cancelled")]
    Cancelled,
}

impl Fault {
    /// What is said of a plugin that breaks the protocol.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into() }
    }

    /// The stable code; the page is in `docs/errors`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } | Self::Containment(_) | Self::Jail(_) | Self::Machine { .. } => {
                "FC0640"
            }
            Self::Handshake(_) => HandshakeError::CODE,
            Self::EndedEarly { .. } | Self::Silent { .. } => "FC0641",
            Self::Socket { .. } => "FC0642",
            Self::Mismatch { .. } => "FC0643",
            Self::Protocol { .. } | Self::Grpc(_) | Self::Unwell { .. } => "FC0644",
            Self::Ended { .. } | Self::OutOfMemory { .. } => "FC0645",
            Self::Busy { .. } => "FC0646",
            Self::TooLate { .. } => "FC0647",
            Self::Failed { .. } => "FC0648",
            Self::Cancelled => "FC0649",
        }
    }

    const fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { .. }
            | Self::Containment(_)
            | Self::Jail(_)
            | Self::Handshake(_)
            | Self::Socket { .. }
            | Self::Mismatch { .. } => ErrorClass::Refused,
            Self::Silent { .. }
            | Self::Busy { .. }
            | Self::TooLate { .. }
            | Self::Grpc(GrpcError::Late { .. }) => ErrorClass::Timeout,
            Self::OutOfMemory { .. } => ErrorClass::Oom,
            Self::Ended { status: ExitStatus::Signal(_) }
            | Self::EndedEarly { status: Some(ExitStatus::Signal(_)) } => ErrorClass::Signal,
            Self::Failed { class, .. } => *class,
            _ => ErrorClass::ExitCode,
        }
    }

    /// Whether the plugin is to blame, so that its circuit opens and its process is not used again.
    pub(crate) const fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Refused { .. }
                | Self::Containment(_)
                | Self::Jail(_)
                | Self::Machine { .. }
                | Self::Busy { .. }
                | Self::Failed { .. }
                | Self::Cancelled
        )
    }

    /// What the caller is told.
    pub(crate) fn tell(&self, plugin: &str, stderr_tail: Vec<String>) -> PluginError {
        PluginError {
            class: self.class(),
            code: self.code(),
            message: format!("plugin `{plugin}`: {}", self.sentence()),
            is_fault: self.is_fault(),
            cancelled: matches!(self, Self::Cancelled),
            stderr_tail,
        }
    }

    fn sentence(&self) -> String {
        match self {
            // These are written as what the plugin did.
            Self::Grpc(GrpcError::Status(status)) => format!("it answered with an error: {status}"),
            Self::Grpc(_) | Self::Protocol { .. } => format!("it {self}"),
            _ => self.to_string(),
        }
    }
}

impl From<JailError> for Fault {
    fn from(error: JailError) -> Self {
        Self::Jail(Box::new(error))
    }
}

/// An error and what is behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn ended_early(status: Option<ExitStatus>) -> String {
    let how = status.map_or_else(
        || "the program closed its output".to_owned(),
        |status| format!("the program ended ({status})"),
    );
    format!("{how} before it printed a handshake; what it printed to stderr may say why")
}
