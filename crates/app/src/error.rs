//! What a request can be answered with instead of a reply.

use flexcore_api::ErrorBody;
use flexcore_domain::{
    access::{api_key::ApiKeyRejection, role::RoleRejection},
    data_stream::DataStreamRejection,
    execution::ExecutionRejection,
    pipeline::PipelineRejection,
    pipeline_name::NameRejection,
    plugin::PluginRejection,
};
use flexcore_event_codec::DecodeError;
use flexcore_eventsourcing::{FoldError, StreamName};
use flexcore_ports::{AppendError, PluginError, PluginStoreError, StoreError};
use thiserror::Error;

use crate::grants::MissingGrants;

/// Why a request was not answered with a reply. Each variant has a stable code; `docs/errors/` has
/// a page per code.
#[derive(Debug, Error)]
pub enum UseCaseError {
    /// What was named does not exist.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// For example `pipeline`.
        what: &'static str,
        /// What was named.
        name: String,
        /// What could have been meant.
        hint: Option<String>,
    },
    /// The request itself is wrong.
    #[error("{message}")]
    Invalid {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The rules do not allow it in this state.
    #[error("{message}")]
    Refused {
        /// Which rule.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Who asks may not do it.
    #[error("`{actor}` may not {request}: that needs the permission `{permission}`")]
    Forbidden {
        /// Who asked.
        actor: String,
        /// The name of the request.
        request: &'static str,
        /// What is missing.
        permission: &'static str,
    },
    /// It has changed since the caller looked at it.
    #[error("{what} `{name}` has changed: its version is {found}, not {expected}")]
    Changed {
        /// For example `pipeline`.
        what: &'static str,
        /// Which one.
        name: String,
        /// How often it had changed when the caller looked.
        expected: u64,
        /// How often it has changed by now.
        found: u64,
    },
    /// An idempotency key that was used for something else.
    #[error("the idempotency key was used before, for the {what} `{found}`")]
    KeyUsed {
        /// For example `pipeline`.
        what: &'static str,
        /// What it was used for.
        found: String,
    },
    /// A pipeline that begins no executions now.
    #[error("pipeline `{name}` is inactive and begins no executions")]
    Inactive {
        /// Its name.
        name: String,
    },
    /// Who asks wants to give more than they have.
    #[error("`{actor}` may not give `{permission}`: nobody gives what they do not have")]
    BeyondOwn {
        /// Who asked.
        actor: String,
        /// What is missing.
        permission: String,
    },
    /// Steps ask for what the operator has not granted.
    #[error("{0}")]
    NotGranted(Box<MissingGrants>),
    /// A plugin could not do what it was asked, or was not asked at all.
    #[error("{0}")]
    Plugin(#[from] PluginError),
    /// The files of a plugin cannot be had.
    #[error("{0}")]
    PluginStore(#[from] PluginStoreError),
    /// Others changed the same thing at the same time, again and again.
    #[error("stream {stream} kept changing; nothing was done")]
    Busy {
        /// The stream.
        stream: StreamName,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored event cannot be read.
    #[error("event {version} of stream {stream} cannot be read: {source}")]
    Undecodable {
        /// The stream.
        stream: StreamName,
        /// The event's version.
        version: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A stream's history is impossible.
    #[error("stream {stream} has an impossible history: {}", .source.source)]
    IllegalHistory {
        /// The stream.
        stream: StreamName,
        /// Where and why.
        source: FoldError,
    },
}

impl UseCaseError {
    /// Its stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "FC0201",
            Self::Invalid { .. } | Self::Store(StoreError::NotACursor(_)) => "FC0202",
            Self::Refused { .. } => "FC0203",
            Self::Busy { .. } => "FC0204",
            Self::Forbidden { .. } => "FC0205",
            Self::Changed { .. } => "FC0208",
            Self::KeyUsed { .. } => "FC0209",
            Self::Inactive { .. } => "FC0210",
            Self::BeyondOwn { .. } => "FC0724",
            Self::NotGranted(_) => MissingGrants::CODE,
            Self::Plugin(error) => error.code,
            Self::PluginStore(error) => error.code,
            Self::Append(_) | Self::Store(_) => "FC0301",
            Self::Undecodable { .. } => "FC0302",
            Self::IllegalHistory { .. } => "FC0303",
        }
    }

    /// The form in which callers see it.
    pub fn body(&self) -> ErrorBody {
        let hint = match self {
            Self::NotFound { hint, .. }
            | Self::Invalid { hint, .. }
            | Self::Refused { hint, .. } => hint.clone(),
            Self::NotGranted(missing) => Some(missing.hint()),
            Self::Changed { .. } => {
                Some("look at it again, and decide whether the change is still wanted".to_owned())
            }
            Self::KeyUsed { .. } => {
                Some("send a key of its own with each thing that is to be made".to_owned())
            }
            Self::Inactive { name } => {
                Some(format!("`flexcore pipeline activate {name}` lets it begin executions again"))
            }
            Self::Busy { .. } => Some("send the request again".to_owned()),
            Self::Forbidden { .. } | Self::BeyondOwn { .. } => {
                Some("ask whoever gave you the key or the role for it".to_owned())
            }
            Self::Undecodable { .. } | Self::IllegalHistory { .. } => Some(
                "run `flexcore events verify`; a newer flexcore may have written it".to_owned(),
            ),
            Self::Append(_) | Self::Store(_) | Self::Plugin(_) | Self::PluginStore(_) => None,
        };
        ErrorBody { code: self.code().to_owned(), message: self.to_string(), hint }
    }

    /// A rule that does not allow it, without a hint.
    pub(crate) fn refused(rule: impl Into<String>) -> Self {
        Self::Refused { message: rule.into(), hint: None }
    }

    /// A request that is wrong, without a hint.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: None }
    }
}

impl From<PipelineRejection> for UseCaseError {
    fn from(rejection: PipelineRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<NameRejection> for UseCaseError {
    fn from(rejection: NameRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<ExecutionRejection> for UseCaseError {
    fn from(rejection: ExecutionRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<PluginRejection> for UseCaseError {
    fn from(rejection: PluginRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<DataStreamRejection> for UseCaseError {
    fn from(rejection: DataStreamRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<ApiKeyRejection> for UseCaseError {
    fn from(rejection: ApiKeyRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}

impl From<RoleRejection> for UseCaseError {
    fn from(rejection: RoleRejection) -> Self {
        Self::refused(rejection.to_string())
    }
}
