//! Values out of rows and into parameters.

use std::fmt::Display;

use flexcore_domain::ExecutionId;
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::StoreError;
use tokio_postgres::{Row, types::FromSql};
use uuid::Uuid;

use crate::error::corrupt;

/// A column that was selected by name.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| corrupt(format!("a view's {column}"), error.to_string()))
}

/// A number that is never negative.
pub(super) fn count(row: &Row, column: &str) -> Result<u64, StoreError> {
    Ok(get::<i64>(row, column)?.max(0).cast_unsigned())
}

/// A number that is never negative, if there is one.
pub(super) fn count_or_zero(row: &Row, column: &str) -> Result<u64, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.unwrap_or_default().max(0).cast_unsigned())
}

/// A small number.
pub(super) fn small(row: &Row, column: &str) -> Result<u32, StoreError> {
    let number: i64 = get(row, column)?;
    u32::try_from(number).map_err(|_| corrupt(format!("a view's {column}"), number.to_string()))
}

/// A time.
pub(super) fn time(row: &Row, column: &str) -> Result<Timestamp, StoreError> {
    get(row, column).map(Timestamp::from_micros)
}

/// A time, if there is one.
pub(super) fn time_if_any(row: &Row, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(Timestamp::from_micros))
}

/// An execution, if there is one.
pub(super) fn execution_if_any(row: &Row, column: &str) -> Result<Option<ExecutionId>, StoreError> {
    Ok(get::<Option<Uuid>>(row, column)?.map(ExecutionId))
}

/// A value that was parsed from a column.
pub(super) fn parsed<T, E: Display>(result: Result<T, E>, place: &str) -> Result<T, StoreError> {
    result.map_err(|error| corrupt(place, error.to_string()))
}

/// What PostgreSQL can store of a text: everything but the character 0.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// As [`text`], if there is one.
pub(super) fn text_if_any(some: Option<&String>) -> Option<String> {
    some.map(|some| text(some))
}

/// What a column can hold of a number.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
