//! Rows written as a set: one statement for all rows of a table, one array for each column.

use std::fmt::Write;

use super::Parameter;

/// A statement with its parameters.
pub(super) struct Change {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

/// Builds the statement that inserts rows or replaces those with the same key.
pub(super) struct Upsert {
    table: &'static str,
    key: &'static [&'static str],
    columns: Vec<(&'static str, &'static str)>,
    parameters: Vec<Parameter>,
}

impl Upsert {
    /// Into the table `view_<n>_<table>`.
    pub(super) fn into(table: &'static str, key: &'static [&'static str]) -> Self {
        Self { table, key, columns: Vec::new(), parameters: Vec::new() }
    }

    /// Adds a column with the values of all rows. JSON comes as text.
    pub(super) fn column<T>(
        mut self,
        name: &'static str,
        sql_type: &'static str,
        values: Vec<T>,
    ) -> Self
    where
        Vec<T>: tokio_postgres::types::ToSql + Send + Sync + 'static,
    {
        self.columns.push((name, sql_type));
        self.parameters.push(Box::new(values));
        self
    }

    /// The statement.
    pub(super) fn build(self) -> Change {
        let Self { table, key, columns, parameters } = self;
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let (names, mut arrays, mut values) = (names.join(", "), Vec::new(), Vec::new());
        for ((name, sql_type), number) in columns.iter().zip(1..) {
            let json = *sql_type == "jsonb";
            arrays.push(format!("${number}::{}[]", if json { "text" } else { sql_type }));
            values.push(if json { format!("u.{name}::jsonb") } else { format!("u.{name}") });
        }
        let (arrays, values) = (arrays.join(", "), values.join(", "));
        let mut sql = format!(
            "INSERT INTO flexcore.view_#_{table} ({names}) SELECT {values} FROM unnest({arrays}) \
             u ({names}) ON CONFLICT ({}) DO UPDATE SET ",
            key.join(", ")
        );
        let changed = columns.iter().filter(|(name, _)| !key.contains(name));
        for (index, (name, _)) in changed.enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            // Writing to memory cannot fail.
            let _ = write!(sql, "{separator}{name} = excluded.{name}");
        }
        Change { sql, parameters }
    }
}
