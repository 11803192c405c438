//! Lists of a view: filters and keyset pages.

use std::{collections::BTreeSet, fmt::Write};

use flexcore_ports::{Page, StoreError};
use tokio_postgres::Row;

use super::{Parameter, PostgresViewStore};

/// How many rows a statement asks for. The number stands in the statement, because the server plans
/// for it; only these do, so that there are few statements. The last serves the largest page.
const LIMITS: [usize; 6] = [2, 11, 51, 101, 251, 1_001];

/// A `SELECT` in the making. Everything that a caller brings is a parameter.
pub(super) struct Query {
    table: &'static str,
    columns: &'static str,
    conditions: Vec<String>,
    parameters: Vec<Parameter>,
    /// A condition that is one of these; each is looked up on its own, in the order of an index,
    /// because an index cannot give several values of its first column in the order of its second.
    one_of: Option<(&'static str, BTreeSet<String>)>,
}

impl Query {
    pub(super) fn new(table: &'static str, columns: &'static str) -> Self {
        let (conditions, parameters, one_of) = (Vec::new(), Vec::new(), None);
        Self { table, columns, conditions, parameters, one_of }
    }

    /// Adds a condition; each `?` in it stands for one of these values.
    pub(super) fn and<const N: usize>(&mut self, condition: &str, values: [Parameter; N]) {
        let mut numbered = String::new();
        let mut pieces = condition.split('?');
        numbered.push_str(pieces.next().unwrap_or_default());
        for (piece, value) in pieces.zip(values) {
            self.parameters.push(value);
            // Writing to memory cannot fail.
            let _ = write!(numbered, "${}{piece}", self.parameters.len());
        }
        self.conditions.push(numbered);
    }

    /// Adds the condition that a column has one of these values; none at all: any value.
    pub(super) fn any_of(&mut self, column: &str, values: &[String]) {
        if !values.is_empty() {
            self.and(&format!("{column} = ANY(?)"), [Box::new(values.to_vec())]);
        }
    }

    /// As [`any_of`](Self::any_of), for a column by which an index is ordered: one at most.
    pub(super) fn each_of(&mut self, column: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.one_of = Some((column, values.iter().cloned().collect()));
        }
    }

    /// Runs it for one page; `cursor` says what continues after a row.
    pub(super) async fn page<T>(
        self,
        views: &PostgresViewStore,
        order: &str,
        limit: usize,
        decode: fn(&Row) -> Result<T, StoreError>,
        cursor: fn(&T) -> String,
    ) -> Result<Page<T>, StoreError> {
        let limit = limit.clamp(1, LIMITS[LIMITS.len() - 1] - 1);
        let (sql, parameters) = self.build(order, limit);
        let rows = views.rows(&sql, &parameters).await?;
        // One row more than asked for tells whether there is a next page.
        let more = rows.len() > limit;
        let items = rows.iter().take(limit).map(decode).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(cursor);
        Ok(Page { items, next })
    }

    /// The statement and its parameters.
    pub(super) fn build(mut self, order: &str, limit: usize) -> (String, Vec<Parameter>) {
        let fits = LIMITS.into_iter().find(|fits| *fits > limit).unwrap_or(limit + 1);
        let end = format!(" ORDER BY {order} LIMIT {fits}");
        let Some((column, alternatives)) = self.one_of.take() else {
            let sql = self.select(None) + &end;
            return (sql, self.parameters);
        };
        let mut parts = Vec::new();
        for alternative in alternatives {
            self.parameters.push(Box::new(alternative));
            let equal = format!("{column} = ${}", self.parameters.len());
            parts.push(self.select(Some(&equal)) + &end);
        }
        if let [only] = parts.as_slice() {
            return (only.clone(), self.parameters);
        }
        let parts: Vec<_> = parts.iter().map(|part| format!("({part})")).collect();
        let sql = format!("SELECT * FROM ({}) parts{end}", parts.join(" UNION ALL "));
        (sql, self.parameters)
    }

    fn select(&self, equal: Option<&str>) -> String {
        let Self { table, columns, .. } = self;
        let own = self.conditions.iter().map(String::as_str);
        let conditions: Vec<_> = own.chain(equal).collect();
        let conditions = match conditions.join(" AND ") {
            none if none.is_empty() => none,
            some => format!(" WHERE {some}"),
        };
        format!("SELECT {columns} FROM flexcore.view_#_{table}{conditions}")
    }
}

/// A cursor that no page gave.
pub(super) fn not_a_cursor(token: &str) -> StoreError {
    StoreError::NotACursor(token.to_owned())
}
