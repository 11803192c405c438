//! `target-sqlite`: one table per stream.
//!
//! # Types
//!
//! integer is INTEGER, number is REAL, boolean is BOOLEAN (0 and 1), anything else is TEXT: dates and
//! times as they came, objects and arrays as their JSON text. A number whose digits a REAL would not
//! keep (more than 15 significant ones) is an error; `decimals: text` stores numbers as TEXT with
//! every digit. A later SCHEMA adds columns and widens types; nothing is ever dropped or narrowed.
//!
//! # Rows
//!
//! A stream with a key upserts by it: the newest record of a key is its row, and properties that the
//! record lacks become null. Without a key rows are appended. Records with a version get the column
//! `_sdc_table_version`; ACTIVATE_VERSION deletes the rows of all other versions.
//!
//! # Going back
//!
//! Everything between two confirmed STATEs is one transaction, and the mark of the STATE (table
//! `_flexcore_mark`) is part of it. Going back to an older mark deletes the rows above the greatest
//! row id that the mark names, in tables without a key; row ids only ever grow. Tables with a key
//! need no going back, as the rows that come again replace themselves.

mod connection;
mod evolve;
mod schema;
mod table;
mod value;

use std::{path::Path, time::Duration};

use flexcore_singer::{RecordMessage, SchemaMessage};
use schemars::JsonSchema;
use serde::Deserialize;

use self::{connection::Database, table::Table};
use crate::{
    environment::Environment,
    failure::Failure,
    settings,
    target::{
        columns::ExtraProperties,
        error::{SinkError, TargetError},
        sink::{Sink, StateHash},
    },
};

/// Configuration of `target-sqlite`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqliteSettings {
    /// Path of the database file; it is made if it does not exist.
    path: String,
    /// How numbers are stored.
    #[serde(default)]
    decimals: Decimals,
    /// What to do with properties of a record that the SCHEMA does not name.
    #[serde(default)]
    extra_properties: ExtraProperties,
    /// How many seconds to wait for another process that writes to the database.
    #[serde(default = "default_wait")]
    wait_seconds: u64,
}

/// How numbers are stored.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decimals {
    /// As REAL; a number with more than 15 significant digits is an error.
    #[default]
    Real,
    /// As TEXT, every digit as it came.
    Text,
}

fn default_wait() -> u64 {
    300
}

/// Makes the target from its configuration file.
pub(crate) fn open_sqlite(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Box<dyn Sink>, Failure> {
    let settings: SqliteSettings = settings::read(path)?;
    let wait = Duration::from_secs(settings.wait_seconds);
    let database =
        Database::open(Path::new(&settings.path), wait, environment).map_err(TargetError::Open)?;
    Ok(Box::new(SqliteSink {
        database,
        tables: Vec::new(),
        last: 0,
        decimals: settings.decimals,
        extra: settings.extra_properties,
    }))
}

struct SqliteSink {
    database: Database,
    tables: Vec<Table>,
    last: usize,
    decimals: Decimals,
    extra: ExtraProperties,
}

impl SqliteSink {
    fn find(&mut self, stream: &str) -> Result<usize, SinkError> {
        if self.tables.get(self.last).is_none_or(|table| table.name() != stream) {
            let found = self.tables.iter().position(|table| table.name() == stream);
            self.last = found.ok_or(SinkError::NoSchema)?;
        }
        Ok(self.last)
    }
}

impl SqliteSink {
    fn check_twins(&self, stream: &str) -> Result<(), SinkError> {
        let is_twin = |name: &&str| *name != stream && name.eq_ignore_ascii_case(stream);
        match self.tables.iter().map(Table::name).find(is_twin) {
            None => Ok(()),
            Some(other) => Err(SinkError::Table(format!(
                "SQLite does not tell the tables '{other}' and '{stream}' apart"
            ))),
        }
    }
}

impl Sink for SqliteSink {
    fn schema(&mut self, message: &SchemaMessage<'_>) -> Result<(), SinkError> {
        let wanted = schema::wanted_columns(message, self.decimals)?;
        let known = self.tables.iter().position(|table| table.name() == message.stream);
        let key = &message.key_properties;
        // Many taps send the same SCHEMA with every page.
        if known.is_some_and(|index| self.tables[index].is_for(&wanted, key)) {
            return Ok(());
        }
        self.check_twins(&message.stream)?;
        self.database.begin()?;
        let mut table =
            Table::prepare(&mut self.database, &message.stream, wanted, key, self.extra)?;
        if let Some(index) = known {
            table.continue_from(&self.tables[index]);
            self.tables[index] = table;
        } else {
            table.mark_open(&self.database)?;
            self.tables.push(table);
        }
        Ok(())
    }

    #[inline]
    fn record(&mut self, record: &RecordMessage<'_>) -> Result<(), SinkError> {
        let index = self.find(&record.stream)?;
        self.database.begin()?;
        self.tables[index].insert(&self.database, record.record, record.version)
    }

    fn activate_version(&mut self, stream: &str, version: i64) -> Result<(), SinkError> {
        let index = self.find(stream)?;
        self.database.begin()?;
        self.tables[index].activate(&self.database, version)
    }

    fn checkpoint(&mut self, state: Option<&StateHash>) -> Result<(), SinkError> {
        let lengths = self.tables.iter().filter_map(Table::length).collect();
        self.database.commit(state, &lengths)
    }

    fn roll_back(&mut self) -> Result<(), SinkError> {
        self.tables.clear();
        self.database.roll_back()
    }
}
