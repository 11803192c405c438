//! What goes wrong between a client and its server.

use flexcore_api::ErrorBody;
use serde::Deserialize;
use thiserror::Error;

/// Why a request has no reply.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server refused or failed, and said why.
    #[error("{0}")]
    Problem(Problem),
    /// No connection to the server, or it broke.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// The server's URL.
        server: String,
        /// What the system or the other end said.
        reason: String,
    },
    /// No answer in time. What was asked for may have happened.
    #[error("{server} did not answer in time")]
    Timeout {
        /// The server's URL.
        server: String,
    },
    /// An answer that is not FlexCore's.
    #[error("{server} answered {status} with something else than FlexCore does: {reason}")]
    Reply {
        /// The server's URL.
        server: String,
        /// The status of the answer.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
    /// The options cannot be.
    #[error("{0}")]
    Options(String),
}

/// A refusal of the server, as it words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// Code, message and hint.
    pub body: ErrorBody,
    /// Where the server's log says more.
    pub request_id: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.body.message)
    }
}

impl ClientError {
    /// The form in which people see it: a stable code, what happened, what to do.
    pub fn body(&self) -> ErrorBody {
        let (code, hint) = match self {
            Self::Problem(problem) => return problem.body.clone(),
            Self::Unreachable { .. } => {
                ("FC0780", "is the server running, and is its URL right? `--server URL` names it")
            }
            Self::Timeout { .. } => ("FC0781", "ask what became of it before you send it again"),
            Self::Reply { .. } => {
                ("FC0782", "the URL may name another service, or a proxy before it")
            }
            Self::Options(_) => ("FC0783", "correct it where it was given"),
        };
        ErrorBody { code: code.to_owned(), message: self.to_string(), hint: Some(hint.to_owned()) }
    }

    /// The status that the server answered with, if it did.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Reply { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// The members of `application/problem+json` that FlexCore fills.
#[derive(Debug, Deserialize)]
struct Document {
    code: String,
    detail: String,
    #[serde(default)]
    hint: Option<String>,
}

impl Problem {
    /// A problem document; `None` if it is none of FlexCore's.
    pub(crate) fn read(status: u16, request_id: Option<String>, body: &[u8]) -> Option<Self> {
        let Document { code, detail, hint } = serde_json::from_slice(body).ok()?;
        Some(Self { status, body: ErrorBody { code, message: detail, hint }, request_id })
    }
}

/// An error and what caused it, in one line: what reqwest shows by itself stops at its first word.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        source = cause.source();
    }
    causes.join(": ")
}
