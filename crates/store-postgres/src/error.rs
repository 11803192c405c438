//! Failures of statements, in the core's words.

use flexcore_ports::StoreError;

use crate::open_error::reason;

/// A failed statement.
pub(crate) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unavailable(reason(error))
}

/// A stored row that cannot be what was once written.
pub(crate) fn corrupt(place: impl Into<String>, reason: impl Into<String>) -> StoreError {
    StoreError::Corrupt { place: place.into(), reason: reason.into() }
}
