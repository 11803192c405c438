//! How a call ended.

use std::{error::Error, fmt, time::Duration};

/// The longest text of an error that is kept.
const MESSAGE_BYTES: usize = 4 * 1024;

/// A plugin's word on how a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// gRPC's number; 0 is success.
    pub(crate) code: u32,
    /// What the plugin says to it.
    pub(crate) message: String,
}

impl Status {
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const FAILED_PRECONDITION: u32 = 9;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const UNAVAILABLE: u32 = 14;

    fn of(status: &tonic::Status) -> Self {
        let mut message = status.message().to_owned();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        // Numbers of gRPC are small, and never negative.
        Self { code: u32::try_from(status.code() as i32).unwrap_or_default(), message }
    }

    fn name(&self) -> &'static str {
        const NAMES: [&str; 17] = [
            "ok",
            "cancelled",
            "unknown",
            "invalid argument",
            "deadline exceeded",
            "not found",
            "already exists",
            "permission denied",
            "resource exhausted",
            "failed precondition",
            "aborted",
            "out of range",
            "unimplemented",
            "internal",
            "unavailable",
            "data loss",
            "unauthenticated",
        ];
        usize::try_from(self.code).ok().and_then(|code| NAMES.get(code)).unwrap_or(&"unknown")
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        if self.message.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.message) }
    }
}

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrpcError {
    /// The plugin says so.
    #[error("{0}")]
    Status(Status),
    /// The plugin does not keep to gRPC.
    #[error("{what}")]
    Broken {
        /// What it did.
        what: String,
    },
    /// The plugin announced a message beyond the limit.
    #[error(
        "sent a message of {length} bytes, and {limit} are allowed; `max_frame` in its limits says how many"
    )]
    TooLong {
        /// Its length.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The connection is gone.
    #[error("closed its connection ({what})")]
    Lost {
        /// What is known of it.
        what: String,
    },
    /// No answer in time.
    #[error("gave no answer within {after:?}")]
    Late {
        /// How long was waited.
        after: Duration,
    },
    /// There cannot be such a method.
    #[error("cannot have a method `{path}`")]
    NoMethod {
        /// The path.
        path: String,
    },
}

impl GrpcError {
    pub(super) fn broken(what: &str) -> Self {
        Self::Broken { what: what.to_owned() }
    }

    pub(super) fn undecodable(error: &prost::DecodeError) -> Self {
        Self::Broken { what: format!("sent a message that cannot be read ({error})") }
    }

    /// What a connection says that is not, or no longer, one to a plugin.
    pub(super) fn of_connection(error: &(dyn Error + 'static)) -> Self {
        let causes = || std::iter::successors(Some(error), |error| source_of(*error));
        if let Some(NotGrpc(what)) = causes().find_map(<dyn Error>::downcast_ref::<NotGrpc>) {
            return Self::Broken { what: what.clone() };
        }
        let last = causes().last().map_or_else(String::new, ToString::to_string);
        let http = causes().find_map(<dyn Error>::downcast_ref::<h2::Error>);
        // Resets and violations are the plugin's doing on a living connection.
        match http {
            Some(error) if error.is_io() || error.is_go_away() && error.is_remote() => {
                Self::Lost { what: last }
            }
            Some(error) if error.reason().is_some() => {
                Self::Broken { what: format!("broke the rules of HTTP/2 ({error})") }
            }
            _ => Self::Lost { what: last },
        }
    }

    /// How a call ended that did not end well. What tonic found has a cause, or one of its texts;
    /// a plugin that says the same of itself is believed.
    pub(super) fn of_call(status: &tonic::Status) -> Self {
        if let Some(cause) = status.source() {
            return Self::of_connection(cause);
        }
        let text = status.message();
        if let Some((length, limit)) = lengths(text) {
            return Self::TooLong { length, limit };
        }
        if text.starts_with("protocol error: missing grpc-status") {
            return Self::broken("ended a call without saying how");
        }
        if text.starts_with("Unexpected EOF") {
            return Self::broken("ended a call in the middle of a message");
        }
        if let Some(what) = text.strip_prefix("protocol error: ") {
            return Self::Broken { what: format!("broke the rules of gRPC ({what})") };
        }
        Self::Status(Status::of(status))
    }

    /// Whether it could be that there is no plugin any more.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Broken { .. } => true,
            Self::Status(status) => status.code == Status::UNAVAILABLE,
            _ => false,
        }
    }

    /// The status, if the plugin gave one.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Status(status) => Some(status.code),
            _ => None,
        }
    }
}

fn source_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    error.source()
}

/// What is wrong with a connection, as tonic takes it.
pub(crate) type Wrong = Box<dyn Error + Send + Sync>;

/// An answer that is not gRPC's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotGrpc(pub(super) String);

/// The length of a message and the limit that it is beyond, as tonic words them.
fn lengths(text: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix("Error, decoded message length too large: found ")?;
    let (length, rest) = rest.split_once(" bytes, the limit is: ")?;
    let limit = rest.split(' ').next()?;
    Some((length.parse().ok()?, limit.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown_with_its_text() {
        let said = Status::of(&tonic::Status::invalid_argument("50% of it"));
        assert_eq!((said.code, said.to_string().as_str()), (3, "invalid argument: 50% of it"));
        assert_eq!(Status { code: 99, message: String::new() }.to_string(), "unknown");
        let long = Status::of(&tonic::Status::internal("ä".repeat(MESSAGE_BYTES)));
        assert!(long.message.len() <= MESSAGE_BYTES);
    }

    #[test]
    fn what_the_library_found_is_told_from_what_a_plugin_says() {
        let of = |status: tonic::Status| GrpcError::of_call(&status);
        let text = "Error, decoded message length too large: found 7 bytes, the limit is: 5 bytes";
        assert_eq!(
            of(tonic::Status::out_of_range(text)),
            GrpcError::TooLong { length: 7, limit: 5 }
        );
        let cause = Wrong::from(NotGrpc("answered with something that is not gRPC".to_owned()));
        assert!(matches!(of(tonic::Status::from_error(cause)), GrpcError::Broken { .. }));
        let said = of(tonic::Status::unavailable("try again"));
        assert!(matches!(&said, GrpcError::Status(status) if status.code == Status::UNAVAILABLE));
    }
}
