//! Schema evolution: new columns, wider types.

use rusqlite::types::Value;

use super::{
    connection::Database,
    schema::{ColumnType, WantedColumn},
    table::{ExistingColumn, create_sql, quoted, row_id},
};
use crate::target::error::SinkError;

/// Name of a table while it is rebuilt.
const REBUILT: &str = "_flexcore_rebuilt";

/// Adds the columns that are missing, and rebuilds the table if a type has to be wider.
pub(super) fn evolve(
    database: &Database,
    name: &str,
    existing: &[ExistingColumn],
    wanted: &[WantedColumn],
) -> Result<(), SinkError> {
    let located = |error| database.located(error);
    let find = |column: &ExistingColumn| {
        wanted.iter().find(|wanted| wanted.name.eq_ignore_ascii_case(&column.name))
    };
    let mut widened = existing.to_vec();
    for column in &mut widened {
        if let Some(wanted) = find(column) {
            column.kind = column.kind.join(wanted.kind);
        }
    }
    if widened.iter().zip(existing).any(|(new, old)| new.kind != old.kind) {
        rebuild(database, name, existing, &widened)?;
    }
    for column in wanted {
        if !existing.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name)) {
            let sql = format!(
                "ALTER TABLE {} ADD COLUMN {} {}",
                quoted(name),
                quoted(&column.name),
                column.kind.sql()
            );
            database.connection.execute_batch(&sql).map_err(located)?;
        }
    }
    Ok(())
}

/// SQLite cannot change the type of a column: a new table takes the rows over, with the indexes and
/// triggers of the old one (the procedure of <https://www.sqlite.org/lang_altertable.html>, 7).
fn rebuild(
    database: &Database,
    name: &str,
    existing: &[ExistingColumn],
    widened: &[ExistingColumn],
) -> Result<(), SinkError> {
    let located = |error| database.located(error);
    let connection = &database.connection;
    for (old, new) in existing.iter().zip(widened) {
        if old.kind == ColumnType::Integer && new.kind == ColumnType::Real {
            check_integers_fit_a_real(database, name, &old.name)?;
        }
    }
    let attached: Vec<String> = connection
        .prepare(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ? COLLATE NOCASE
             AND type IN ('index', 'trigger') AND sql IS NOT NULL",
        )
        .and_then(|mut select| select.query_map([name], |row| row.get(0))?.collect())
        .map_err(located)?;
    let key: Vec<String> =
        existing.iter().filter(|column| column.is_key).map(|c| c.name.clone()).collect();
    let parts = widened.iter().map(|column| (column.name.as_str(), column.kind));
    let mut names: Vec<String> = existing.iter().map(|column| quoted(&column.name)).collect();
    let mut values: Vec<String> =
        existing.iter().zip(widened).map(|(old, new)| converted(old, new.kind)).collect();
    if key.is_empty() {
        let row_id = row_id(existing);
        names.push(row_id.to_owned());
        values.push(row_id.to_owned());
    }
    let (table, rebuilt) = (quoted(name), quoted(REBUILT));
    let sql = [
        create_sql(REBUILT, parts, &key),
        format!(
            "INSERT INTO {rebuilt} ({}) SELECT {} FROM {table}",
            names.join(", "),
            values.join(", ")
        ),
        format!("DROP TABLE {table}"),
        format!("ALTER TABLE {rebuilt} RENAME TO {table}"),
    ];
    sql.iter().chain(&attached).try_for_each(|sql| connection.execute_batch(sql)).map_err(located)
}

/// A value of the old type as one of the new.
fn converted(column: &ExistingColumn, to: ColumnType) -> String {
    let name = quoted(&column.name);
    match (column.kind, to) {
        (ColumnType::Boolean, ColumnType::Text) => {
            format!("CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE {name} END")
        }
        (from, to) if from == to => name,
        (_, to) => format!("CAST({name} AS {})", to.sql()),
    }
}

fn check_integers_fit_a_real(
    database: &Database,
    table: &str,
    column: &str,
) -> Result<(), SinkError> {
    let name = quoted(column);
    let sql = format!(
        "SELECT {name} FROM {} WHERE {name} NOT BETWEEN -999999999999999 AND 999999999999999 LIMIT 1",
        quoted(table)
    );
    let found = database
        .connection
        .prepare(&sql)
        .and_then(|mut select| {
            select.query_map([], |row| row.get::<_, Value>(0))?.next().transpose()
        })
        .map_err(|error| database.located(error))?;
    match found {
        None => Ok(()),
        Some(value) => {
            let text =
                if let Value::Integer(number) = value { number.to_string() } else { String::new() };
            Err(SinkError::Decimal { property: column.to_owned(), text })
        }
    }
}
