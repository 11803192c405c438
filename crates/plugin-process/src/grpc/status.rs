//! How a call ended.

use std::{fmt, time::Duration};

use http::HeaderMap;
use percent_encoding::percent_decode;

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

    /// Reads trailers, or the headers of an answer that consists of nothing else.
    pub(super) fn read(headers: &HeaderMap) -> Option<Result<Self, GrpcError>> {
        let code = headers.get("grpc-status")?;
        let Some(code) = code.to_str().ok().and_then(|code| code.parse().ok()) else {
            return Some(Err(GrpcError::broken("ended a call with a status that is no number")));
        };
        let message = headers.get("grpc-message").map_or(&[][..], |message| message.as_bytes());
        let mut message = percent_decode(message).decode_utf8_lossy().into_owned();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
        Some(Ok(Self { code, message }))
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

    /// What HTTP/2 says: resets and violations are the plugin's doing on a living connection.
    pub(super) fn from_h2(error: &h2::Error) -> Self {
        if error.is_io() || error.is_go_away() && error.is_remote() {
            return Self::Lost { what: error.to_string() };
        }
        match error.reason() {
            Some(_) => Self::Broken { what: format!("broke the rules of HTTP/2 ({error})") },
            None => Self::Lost { what: error.to_string() },
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_status_is_read_with_its_text() {
        let read = Status::read(&headers(&[("grpc-status", "3"), ("grpc-message", "50%25 of it")]));
        let status = read.unwrap().unwrap();
        assert_eq!((status.code, status.to_string().as_str()), (3, "invalid argument: 50% of it"));
        assert_eq!(Status { code: 99, message: String::new() }.to_string(), "unknown");
    }

    #[test]
    fn a_status_that_is_no_number_breaks_the_rules() {
        let read = Status::read(&headers(&[("grpc-status", "fine")]));
        assert!(matches!(read, Some(Err(GrpcError::Broken { .. }))));
        assert_eq!(Status::read(&headers(&[])), None);
    }
}
