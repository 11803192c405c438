//! What can go wrong with a service, and what it is called outside.

use std::time::Duration;

use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::Refusal;
use flexcore_ports::PluginError;

/// Why a service could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// It may not be called at all.
    #[error("{what}")]
    NotGranted { what: String },
    /// FlexCore cannot show who it is, or cannot tell who the service is.
    #[error("{what}")]
    Credentials { what: String },
    /// No connection, or nothing on it that is HTTP.
    #[error("no answer came from {at}: {what}")]
    Unreachable { at: String, what: String },
    /// It took too long.
    #[error("{what} within {after:?}; {limit}")]
    TooLate { what: &'static str, after: Duration, limit: &'static str },
    /// Its answer is none.
    #[error("{what}")]
    Unusable { what: String },
    /// What goes in or comes out is too large.
    #[error("{what} has more than {limit} bytes; {hint}")]
    TooLarge { what: &'static str, limit: u64, hint: &'static str, is_answer: bool },
    /// It sends elsewhere.
    #[error(
        "answered {status} and sends to {to}; redirects are not followed, because only its own address was granted: correct `url` in its manifest"
    )]
    Redirect { status: u16, to: String },
    /// It says itself that it cannot do it.
    #[error("{}: {what}", status.map_or_else(|| "failed".to_owned(), |status| format!("answered {status}")))]
    Refused { status: Option<u16>, what: String },
    /// The caller does not want it any more.
    #[error("the call was cancelled")]
    Cancelled,
}

impl Fault {
    pub(crate) fn unusable(what: impl Into<String>) -> Self {
        Self::Unusable { what: what.into() }
    }

    /// The stable code; the page is in `docs/errors`.
    const fn code(&self) -> &'static str {
        match self {
            Self::NotGranted { .. } => Refusal::CODE,
            Self::Unreachable { .. } => "FC0660",
            Self::TooLate { .. } | Self::Cancelled => "FC0661",
            Self::Unusable { .. } => "FC0662",
            Self::TooLarge { .. } => "FC0663",
            Self::Refused { .. } => "FC0664",
            Self::Redirect { .. } => "FC0665",
            Self::Credentials { .. } => "FC0666",
        }
    }

    const fn class(&self) -> ErrorClass {
        match self {
            Self::NotGranted { .. }
            | Self::Credentials { .. }
            | Self::Redirect { .. }
            | Self::TooLarge { is_answer: false, .. } => ErrorClass::Refused,
            Self::Unreachable { .. } => ErrorClass::Network,
            Self::TooLate { .. } => ErrorClass::Timeout,
            Self::Refused { status: Some(status), .. } => class_of(*status),
            Self::Unusable { .. }
            | Self::TooLarge { .. }
            | Self::Refused { status: None, .. }
            | Self::Cancelled => ErrorClass::ExitCode,
        }
    }

    /// Whether the service is to blame, so that its circuit opens.
    const fn is_fault(&self) -> bool {
        match self {
            Self::NotGranted { .. }
            | Self::Credentials { .. }
            | Self::Cancelled
            | Self::TooLarge { is_answer: false, .. } => false,
            Self::Refused { status, .. } => match status {
                Some(status) => *status >= 500,
                None => false,
            },
            _ => true,
        }
    }

    /// As callers see it.
    pub(crate) fn of(self, plugin: &str) -> PluginError {
        PluginError {
            class: self.class(),
            code: self.code(),
            is_fault: self.is_fault(),
            cancelled: self == Self::Cancelled,
            message: match &self {
                Self::Unusable { .. } => {
                    format!("the answer of plugin `{plugin}` cannot be used: {self}")
                }
                _ => format!("plugin `{plugin}`: {self}"),
            },
            stderr_tail: Vec::new(),
        }
    }
}

/// The same request may be answered otherwise in a while, or it will not.
const fn class_of(status: u16) -> ErrorClass {
    match status {
        408 | 504 => ErrorClass::Timeout,
        425 | 429 | 502 | 503 => ErrorClass::Network,
        400..=499 => ErrorClass::Refused,
        _ => ErrorClass::ExitCode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_blame_follows_from_the_status() {
        for (status, class, is_fault) in [
            (400, ErrorClass::Refused, false),
            (422, ErrorClass::Refused, false),
            (429, ErrorClass::Network, false),
            (500, ErrorClass::ExitCode, true),
            (503, ErrorClass::Network, true),
            (504, ErrorClass::Timeout, true),
        ] {
            let error = Fault::Refused { status: Some(status), what: "no".into() }.of("flext");
            assert_eq!((error.class, error.is_fault), (class, is_fault), "{status}");
            assert_eq!(error.message, format!("plugin `flext`: answered {status}: no"));
        }
    }
}
