//! Why something could not be done.

use flexcore_plugin_protocol::protobuf::v1;
use thiserror::Error;

/// Why a call or an initialization failed. Its message is read by people: what went wrong, where,
/// and what to do; without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong, for a program.
    pub class: FailureClass,
    /// What went wrong, for a person.
    pub message: String,
}

/// What went wrong; the retry policy of a step goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The settings or parameters are wrong; another try ends the same.
    Configuration,
    /// The data is wrong; another try ends the same.
    Data,
    /// Another system could not be reached; another try may succeed.
    Network,
    /// The host asked to stop.
    Cancelled,
    /// A mistake in the plugin.
    Internal,
}

impl Failure {
    /// The settings or parameters are wrong.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Configuration, message: message.into() }
    }

    /// The data is wrong.
    pub fn data(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Data, message: message.into() }
    }

    /// Another system could not be reached.
    pub fn network(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Network, message: message.into() }
    }

    /// The host asked to stop.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Cancelled, message: message.into() }
    }

    /// A mistake in the plugin.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Internal, message: message.into() }
    }
}

impl From<FailureClass> for v1::FailureClass {
    fn from(class: FailureClass) -> Self {
        match class {
            FailureClass::Configuration => Self::Configuration,
            FailureClass::Data => Self::Data,
            FailureClass::Network => Self::Network,
            FailureClass::Cancelled => Self::Cancelled,
            FailureClass::Internal => Self::Internal,
        }
    }
}

impl From<Failure> for v1::ExecutionFailed {
    fn from(failure: Failure) -> Self {
        Self { class: v1::FailureClass::from(failure.class).into(), message: failure.message }
    }
}

impl From<Failure> for tonic::Status {
    /// For calls whose answer has no room for a failure; the class becomes the nearest code.
    fn from(failure: Failure) -> Self {
        let code = match failure.class {
            FailureClass::Configuration => tonic::Code::InvalidArgument,
            FailureClass::Data => tonic::Code::FailedPrecondition,
            FailureClass::Network => tonic::Code::Unavailable,
            FailureClass::Cancelled => tonic::Code::Cancelled,
            FailureClass::Internal => tonic::Code::Internal,
        };
        Self::new(code, failure.message)
    }
}
