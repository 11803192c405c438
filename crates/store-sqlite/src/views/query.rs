//! Lists of a view: filters and keyset pages.

use std::fmt::Display;

use flexcore_ports::{Page, StoreError};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use crate::error::{reason, store_error};

/// The most rows that one page gives.
const MAX_PAGE: usize = 1_000;

/// A `SELECT` in the making. Everything that a caller brings is bound, nothing is spliced in.
#[derive(Debug)]
pub(crate) struct Query {
    table: &'static str,
    columns: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    pub(crate) fn new(table: &'static str, columns: &'static str) -> Self {
        Self { table, columns, conditions: Vec::new(), values: Vec::new() }
    }

    /// Adds a condition with its values.
    pub(crate) fn and<const N: usize>(&mut self, condition: &str, values: [impl Into<Value>; N]) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values.into_iter().map(Into::into));
    }

    /// Adds the condition that a column has one of these values; none at all: any value.
    pub(crate) fn any_of(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            self.conditions.push(format!("{column} IN ({})", vec!["?"; values.len()].join(", ")));
            self.values.extend(values.iter().cloned().map(Value::from));
        }
    }

    /// Runs it for one page; `cursor` says what continues after a row.
    pub(crate) fn page<T>(
        self,
        connection: &Connection,
        order: &str,
        limit: usize,
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
        cursor: impl Fn(&T) -> String,
    ) -> Result<Page<T>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let failed = |error: rusqlite::Error| store_error(&error, format!("table {}", self.table));
        let mut statement = connection.prepare_cached(&self.sql(order, limit)).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(&self.values)).map_err(failed)?;
        let mut items = Vec::new();
        // One row more than asked for tells whether there is a next page.
        while let Some(row) = rows.next().map_err(failed)? {
            items.push(decode(row)?);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Ok(Page { items, next })
    }

    fn sql(&self, order: &str, limit: usize) -> String {
        let Self { table, columns, .. } = self;
        let conditions = match self.conditions.join(" AND ") {
            none if none.is_empty() => none,
            some => format!(" WHERE {some}"),
        };
        format!("SELECT {columns} FROM {table}{conditions} ORDER BY {order} LIMIT {}", limit + 1)
    }
}

/// A value that was parsed from a stored row.
pub(crate) fn parsed<T, E: Display>(result: Result<T, E>, place: &str) -> Result<T, StoreError> {
    result
        .map_err(|error| StoreError::Corrupt { place: place.to_owned(), reason: error.to_string() })
}

/// A column that holds what nobody wrote.
pub(crate) fn corrupt(place: &str, error: &rusqlite::Error) -> StoreError {
    StoreError::Corrupt { place: place.to_owned(), reason: reason(error) }
}
