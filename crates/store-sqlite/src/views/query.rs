//! Lists of a view: filters and keyset pages.

use std::{collections::BTreeSet, fmt::Display};

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
    /// A condition that is one of these; each is looked up on its own, in the order of an index,
    /// because an index cannot give several values of its first column in the order of its second.
    one_of: Option<(&'static str, BTreeSet<String>)>,
}

impl Query {
    pub(crate) fn new(table: &'static str, columns: &'static str) -> Self {
        Self { table, columns, conditions: Vec::new(), values: Vec::new(), one_of: None }
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

    /// As [`any_of`](Self::any_of), for a column by which an index is ordered: one at most.
    pub(crate) fn each_of(&mut self, column: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.one_of = Some((column, values.iter().cloned().collect()));
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
        let (sql, values) = self.sql(order, limit);
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
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

    /// How SQLite would run it.
    #[cfg(test)]
    pub(crate) fn plan(&self, connection: &Connection, order: &str) -> Vec<String> {
        let (sql, values) = self.sql(order, 50);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    }

    fn sql(&self, order: &str, limit: usize) -> (String, Vec<Value>) {
        let end = format!(" ORDER BY {order} LIMIT {}", limit + 1);
        let Some((column, alternatives)) = &self.one_of else {
            return (self.select(None) + &end, self.values.clone());
        };
        let (mut parts, mut values) = (Vec::new(), Vec::new());
        for alternative in alternatives {
            parts.push(self.select(Some(column)) + &end);
            values.extend(self.values.iter().cloned().chain([alternative.clone().into()]));
        }
        if let [only] = parts.as_slice() {
            return (only.clone(), values);
        }
        let parts: Vec<_> = parts.iter().map(|part| format!("SELECT * FROM ({part})")).collect();
        (parts.join(" UNION ALL ") + &end, values)
    }

    fn select(&self, equal: Option<&str>) -> String {
        let Self { table, columns, .. } = self;
        let equal = equal.map(|column| format!("{column} = ?"));
        let conditions: Vec<_> = self.conditions.iter().chain(&equal).map(String::as_str).collect();
        let conditions = match conditions.join(" AND ") {
            none if none.is_empty() => none,
            some => format!(" WHERE {some}"),
        };
        format!("SELECT {columns} FROM {table}{conditions}")
    }
}

/// A cursor that no page gave.
pub(crate) fn not_a_cursor(token: &str) -> StoreError {
    StoreError::NotACursor(token.to_owned())
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
