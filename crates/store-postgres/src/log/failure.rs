//! What a failed append means, and what to do about it.

use flexcore_ports::{AppendError, StoreError};
use tokio_postgres::error::SqlState;

use crate::open_error::reason;

/// What to do about a failed attempt.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was written; the same connection may try again.
    Retry(String),
    /// The connection is of no use any more.
    Reconnect {
        reason: String,
        /// Whether the batch may have been written all the same.
        is_unknown: bool,
    },
    /// There is no partition for the next positions.
    Partitions,
    /// Nothing was written; perhaps one append among many is to blame.
    Split(AppendError),
    /// Nothing was written and trying again would not help.
    Refuse(AppendError),
}

impl Failure {
    /// What the server or the connection said.
    pub(crate) fn new(error: &tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else {
            return Self::Reconnect { reason: reason(error), is_unknown: true };
        };
        let unavailable = |hint: &str| {
            AppendError::from(StoreError::Unavailable(format!("{}{hint}", reason(error))))
        };
        if *code == SqlState::CHECK_VIOLATION {
            return Self::Partitions;
        }
        if [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(code)
        {
            return Self::Retry(reason(error));
        }
        match (code.code().get(..2).unwrap_or_default(), code.code()) {
            // Operator intervention; `57014` is a statement that took too long.
            (_, "57014") => Self::Split(unavailable("; the server is too slow for this append")),
            ("57" | "08", _) => Self::Reconnect { reason: reason(error), is_unknown: true },
            (_, "53100") => Self::Refuse(unavailable("; free some space on the server's disk")),
            (_, "25006") => Self::Refuse(unavailable("; the server takes no writes: a standby?")),
            ("53" | "58" | "42" | "3F" | "28" | "26", _) => Self::Refuse(unavailable("")),
            ("22" | "23" | "FX", _) => Self::Split(AppendError::Invalid(reason(error))),
            _ => Self::Split(unavailable("")),
        }
    }
}
