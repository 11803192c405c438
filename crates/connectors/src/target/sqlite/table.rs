//! One table: made, widened, filled.

use rusqlite::Connection;

use super::{
    connection::Database,
    evolve::evolve,
    schema::{ColumnType, WantedColumn},
    value::{Bound, bind},
};
use crate::target::{
    columns::{Columns, ExtraProperties},
    error::SinkError,
};

/// Holds the version of a row for ACTIVATE_VERSION, by the name that Singer targets give it.
const VERSION: &str = "_sdc_table_version";
/// What SQLite calls the row id, unless a column has the name.
const ROW_IDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A column of a table that exists.
#[derive(Clone, Debug)]
pub(super) struct ExistingColumn {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    pub(super) is_key: bool,
}

/// A table that takes the records of a stream.
#[derive(Debug)]
pub(super) struct Table {
    name: String,
    columns: Columns,
    /// As the SCHEMA asks for the columns, and as the table has them.
    wanted: Vec<WantedColumn>,
    kinds: Vec<ColumnType>,
    key: Vec<usize>,
    has_version: bool,
    /// Greatest row id so far; only of use without a key.
    last_row_id: u64,
    insert: String,
}

impl Table {
    /// Makes the table, or adds and widens columns of the one that exists.
    pub(super) fn prepare(
        database: &mut Database,
        name: &str,
        wanted: Vec<WantedColumn>,
        key_names: &[String],
        extra: ExtraProperties,
    ) -> Result<Self, SinkError> {
        check_name(name)?;
        let existing = existing_columns(&database.connection, name);
        let existing = existing.map_err(|error| database.located(error))?;
        if existing.is_empty() {
            let parts = wanted.iter().map(|column| (column.name.as_str(), column.kind));
            let sql = create_sql(name, parts, key_names);
            let created = database.connection.execute_batch(&sql);
            created.map_err(|error| database.located(error))?;
        } else {
            check_key(name, &existing, key_names)?;
            evolve(database, name, &existing, &wanted)?;
        }
        let existing = existing_columns(&database.connection, name);
        let existing = existing.map_err(|error| database.located(error))?;
        let kind = |wanted: &WantedColumn| {
            let found = existing.iter().find(|c| c.name.eq_ignore_ascii_case(&wanted.name));
            found.map_or(wanted.kind, |column| column.kind)
        };
        let names = wanted.iter().map(|column| column.name.clone()).collect();
        let columns = Columns::new(names, extra);
        let key: Vec<usize> = key_names.iter().filter_map(|name| columns.find(name)).collect();
        let mut last_row_id = 0;
        if key.is_empty() {
            check_row_id(name, &existing)?;
            last_row_id = greatest_row_id(database, name)?.max(database.marked(name));
        }
        let mut table = Self {
            name: name.to_owned(),
            columns,
            kinds: wanted.iter().map(kind).collect(),
            wanted,
            key,
            has_version: existing.iter().any(|column| column.name == VERSION),
            last_row_id,
            insert: String::new(),
        };
        table.insert = table.insert_sql(&existing);
        Ok(table)
    }

    /// Whether a SCHEMA asks for nothing but what this table is.
    pub(super) fn is_for(&self, wanted: &[WantedColumn], key: &[String]) -> bool {
        let names = self.key.iter().map(|index| &self.columns.names()[*index]);
        self.wanted == wanted && names.eq(key)
    }

    /// Marks, before the first record, how far the table goes.
    pub(super) fn mark_open(&self, database: &Database) -> Result<(), SinkError> {
        match self.length() {
            Some((name, length)) => database.mark_open(&name, length),
            None => Ok(()),
        }
    }

    /// Takes over from the table as it was before its SCHEMA changed.
    pub(super) fn continue_from(&mut self, before: &Self) {
        self.last_row_id = self.last_row_id.max(before.last_row_id);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The greatest row id, for marks; `None` with a key, which needs none.
    pub(super) fn length(&self) -> Option<(String, u64)> {
        self.key.is_empty().then(|| (self.name.clone(), self.last_row_id))
    }

    /// Inserts a record, or replaces the row of its key.
    pub(super) fn insert(
        &mut self,
        database: &Database,
        record: &str,
        version: Option<i64>,
    ) -> Result<(), SinkError> {
        self.columns.locate(record, &self.key)?;
        if version.is_some() && !self.has_version {
            self.add_version_column(database)?;
        }
        let located = |error| database.located(error);
        let mut insert = database.connection.prepare_cached(&self.insert).map_err(located)?;
        for (index, kind) in self.kinds.iter().enumerate() {
            let bound = match self.columns.value(record, index) {
                Some(value) => bind(&self.columns.names()[index], *kind, value)?,
                None => Bound::Null,
            };
            insert.raw_bind_parameter(index + 1, bound).map_err(located)?;
        }
        let mut next = self.kinds.len() + 1;
        if self.has_version {
            insert.raw_bind_parameter(next, version).map_err(located)?;
            next += 1;
        }
        if self.key.is_empty() {
            self.last_row_id += 1;
            let row_id = i64::try_from(self.last_row_id).unwrap_or(i64::MAX);
            insert.raw_bind_parameter(next, row_id).map_err(located)?;
        }
        insert.raw_execute().map(drop).map_err(located)
    }

    /// Deletes the rows of all other versions.
    pub(super) fn activate(&mut self, database: &Database, version: i64) -> Result<(), SinkError> {
        if !self.has_version {
            self.add_version_column(database)?;
        }
        let sql = format!("DELETE FROM {} WHERE {VERSION} IS NOT ?", quoted(&self.name));
        database
            .connection
            .execute(&sql, [version])
            .map(drop)
            .map_err(|error| database.located(error))
    }

    fn add_version_column(&mut self, database: &Database) -> Result<(), SinkError> {
        let located = |error| database.located(error);
        let sql = format!("ALTER TABLE {} ADD COLUMN {VERSION} INTEGER", quoted(&self.name));
        database.connection.execute_batch(&sql).map_err(located)?;
        self.has_version = true;
        let existing = existing_columns(&database.connection, &self.name).map_err(located)?;
        self.insert = self.insert_sql(&existing);
        Ok(())
    }

    /// Parameters: the columns in order, the version if there is one, the row id without a key.
    fn insert_sql(&self, existing: &[ExistingColumn]) -> String {
        let mut names: Vec<String> = self.columns.names().iter().map(|n| quoted(n)).collect();
        if self.has_version {
            names.push(quoted(VERSION));
        }
        let updated: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.key.contains(index))
            .map(|(_, name)| format!("{name} = excluded.{name}"))
            .collect();
        if self.key.is_empty() {
            names.push(row_id(existing).to_owned());
        }
        let places = vec!["?"; names.len()].join(", ");
        let sql =
            format!("INSERT INTO {} ({}) VALUES ({places})", quoted(&self.name), names.join(", "));
        if self.key.is_empty() {
            return sql;
        }
        let key: Vec<_> = self.key.iter().map(|index| names[*index].as_str()).collect();
        let action = if updated.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", updated.join(", "))
        };
        format!("{sql} ON CONFLICT ({}) DO {action}", key.join(", "))
    }
}

fn check_name(name: &str) -> Result<(), SinkError> {
    let lower = name.to_ascii_lowercase();
    let is_taken = lower.starts_with("sqlite_") || lower.starts_with("_flexcore_");
    if is_taken || name.is_empty() || name.contains('\0') {
        return Err(SinkError::Table(format!(
            "a table cannot be named '{}'; rename the stream",
            name.escape_debug()
        )));
    }
    Ok(())
}

/// Without a key rows are found by their row id, so that it needs a name of its own.
fn check_row_id(name: &str, existing: &[ExistingColumn]) -> Result<(), SinkError> {
    let is_taken = |id: &str| existing.iter().any(|c| c.name.eq_ignore_ascii_case(id));
    if ROW_IDS.iter().all(|id| is_taken(id)) {
        return Err(SinkError::Table(format!(
            "table '{name}' has no key and columns named rowid, _rowid_ and oid; deselect one of them"
        )));
    }
    Ok(())
}

/// An identifier in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name for the row id that none of the columns has taken.
pub(super) fn row_id(columns: &[ExistingColumn]) -> &'static str {
    let is_free = |name: &&str| !columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    ROW_IDS.into_iter().find(is_free).unwrap_or(ROW_IDS[0])
}

/// The columns of a table; none if it does not exist.
pub(super) fn existing_columns(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<ExistingColumn>> {
    connection
        .prepare("SELECT name, type, pk FROM pragma_table_info(?)")?
        .query_map([table], |row| {
            Ok(ExistingColumn {
                name: row.get(0)?,
                kind: ColumnType::of_declared(&row.get::<_, String>(1)?),
                is_key: row.get::<_, i64>(2)? > 0,
            })
        })?
        .collect()
}

/// The statement that makes a table.
pub(super) fn create_sql<'a>(
    name: &str,
    columns: impl Iterator<Item = (&'a str, ColumnType)>,
    key: &[String],
) -> String {
    let mut parts: Vec<_> =
        columns.map(|(name, kind)| format!("{} {}", quoted(name), kind.sql())).collect();
    if !key.is_empty() {
        let key: Vec<_> = key.iter().map(|name| quoted(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
    }
    format!("CREATE TABLE {} ({})", quoted(name), parts.join(", "))
}

fn check_key(name: &str, existing: &[ExistingColumn], key: &[String]) -> Result<(), SinkError> {
    let mut found: Vec<_> =
        existing.iter().filter(|c| c.is_key).map(|c| c.name.to_lowercase()).collect();
    let mut wanted: Vec<_> = key.iter().map(|key| key.to_lowercase()).collect();
    found.sort_unstable();
    wanted.sort_unstable();
    if found == wanted {
        return Ok(());
    }
    let list = |names: &[String]| match names {
        [] => "no key".to_owned(),
        names => format!("the key ({})", names.join(", ")),
    };
    Err(SinkError::Table(format!(
        "table '{name}' has {}, the stream has {}; load into another database, or drop the table",
        list(&found),
        list(&wanted)
    )))
}

fn greatest_row_id(database: &Database, table: &str) -> Result<u64, SinkError> {
    let located = |error| database.located(error);
    let columns = existing_columns(&database.connection, table).map_err(located)?;
    let row_id = row_id(&columns);
    let sql = format!("SELECT coalesce(max({row_id}), 0) FROM {}", quoted(table));
    let greatest: i64 =
        database.connection.query_row(&sql, [], |row| row.get(0)).map_err(located)?;
    Ok(u64::try_from(greatest).unwrap_or(0))
}
