//! SQLite's errors in the words of the ports.

use flexcore_ports::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

/// What a failed write means for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// Nothing was written; the next write may well succeed.
    Retriable,
    /// What is on disk can no longer be known: after a failed fsync the kernel may have dropped
    /// pages that it reports as clean, so going on could lose acknowledged events.
    Fatal,
}

/// Translates an error that occurred at `place` (a position, stream, batch or file).
pub(crate) fn store_error(error: &Error, place: impl Into<String>) -> StoreError {
    if is_corruption(error) {
        StoreError::Corrupt { place: place.into(), reason: reason(error) }
    } else {
        StoreError::Unavailable(reason(error))
    }
}

/// Whether an error says that the file cannot be what was once written.
pub(crate) fn is_corruption(error: &Error) -> bool {
    match error {
        // The statements are our own, so that one which SQLite cannot make sense of means that the
        // schema or the header is not what this program wrote: SQLITE_ERROR.
        Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                || failure.extended_code & 0xff == ffi::SQLITE_ERROR
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    }
}

/// Whether the store may go on after this error of a write.
pub(crate) fn write_failure(error: &Error) -> WriteFailure {
    let full_elsewhere = error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            WriteFailure::Retriable
        }
        Some(ErrorCode::SystemIoFailure) if full_elsewhere => WriteFailure::Retriable,
        _ => WriteFailure::Fatal,
    }
}

/// What happened, for a person.
pub(crate) fn reason(error: &Error) -> String {
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE)
    {
        return "the disk is full; nothing of the write was kept; free some space and try again"
            .to_owned();
    }
    error.to_string()
}
