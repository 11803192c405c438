//! `tap-csv`.
//!
//! # Types
//!
//! Inference reads the first rows of each file. It calls a column integer only if every value reads
//! back as the same text (`007`, `1e5` and numbers beyond 64 bits are strings), number only for
//! plain decimals such as `12.50`, whose digits are sent as they are and never go through a float,
//! and boolean only for `true` and `false`. Everything else is a string. If a later value does not
//! fit, the column becomes the wider type, a new SCHEMA is sent before that record, and reading goes
//! on; the bookmark remembers it. `types` fixes a column instead: then a value that does not fit is
//! an error.
//!
//! # Null and the empty string
//!
//! An empty field is null; a quoted empty field (`""`) is the empty string. That is how PostgreSQL
//! reads CSV and how `target-csv` writes it, so that both survive a round trip. `null_values` names
//! more texts for null, and `quoted_empty: null` is for files that quote everything.

mod infer;
mod read;
mod settings;
mod write;

use std::path::Path;

use infer::Kind;

pub(crate) use self::settings::CsvSettings;
use crate::{
    failure::Failure,
    settings as configuration,
    tap::{
        Tap,
        files::find_streams,
        sync::{FileTap, StreamSource},
    },
};

/// Makes the tap from its configuration file.
pub(crate) fn open_csv(path: Option<&Path>) -> Result<Box<dyn Tap>, Failure> {
    let settings: CsvSettings = configuration::read(path)?;
    settings.check()?;
    let entries = settings.files.iter().map(|f| (f.path.as_str(), f.stream.as_deref()));
    let sources = find_streams(entries)?
        .into_iter()
        .map(|stream| {
            let entry = &settings.files[stream.entry];
            StreamSource {
                key: entry.key.clone(),
                replication_key: entry.replication_key.clone(),
                format: CsvFormat::new(&stream.name, entry),
                stream,
            }
        })
        .collect();
    Ok(Box::new(FileTap { sources }))
}

/// A column of the stream: the union of the columns of its files.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// `,"name":` ready to be written.
    prefix: Vec<u8>,
    /// `None` as long as only nulls were seen.
    kind: Option<Kind>,
    /// Fixed by the configuration or the catalog: never widened.
    is_fixed: bool,
    is_key: bool,
    is_selected: bool,
}

/// Reads CSV rows and writes them as RECORD lines.
#[derive(Clone)]
struct CsvFormat {
    columns: Vec<Column>,
    /// For each field of the file at hand, the index of its column.
    layout: Vec<usize>,
    row: read::Row,
    options: Options,
    /// `{"type":"RECORD","stream":"…","record":{`
    record_start: Vec<u8>,
}

/// What an entry of the configuration says about reading.
#[derive(Clone, Debug)]
struct Options {
    header: Option<Vec<String>>,
    /// Texts that stand for null besides the empty field.
    null_texts: Vec<String>,
    empty_is_null: bool,
    quoted_empty_is_null: bool,
    key: Vec<String>,
    types: Vec<(String, Kind)>,
}

impl CsvFormat {
    fn new(stream: &str, entry: &settings::FileSettings) -> Self {
        let mut record_start = Vec::new();
        flexcore_singer::write_record_start(&mut record_start, stream);
        record_start.push(b'{');
        let nulls = entry.null_values.as_deref();
        Self {
            columns: Vec::new(),
            layout: Vec::new(),
            row: read::Row::new(entry.delimiter_byte(), entry.quote_byte()),
            options: Options {
                header: entry.header.clone(),
                null_texts: nulls
                    .unwrap_or_default()
                    .iter()
                    .filter(|text| !text.is_empty())
                    .cloned()
                    .collect(),
                empty_is_null: nulls.is_none_or(|list| list.iter().any(String::is_empty)),
                quoted_empty_is_null: entry.quoted_empty == settings::QuotedEmpty::Null,
                key: entry.key.clone(),
                types: entry.types.iter().map(|(name, kind)| (name.clone(), kind.kind())).collect(),
            },
            record_start,
        }
    }

    /// The index of the column of this name, which is added if the stream did not have it yet.
    fn column(&mut self, name: &str) -> usize {
        if let Some(index) = self.columns.iter().position(|column| column.name == name) {
            return index;
        }
        let mut prefix = vec![b','];
        flexcore_singer::write_string(&mut prefix, name);
        prefix.push(b':');
        let fixed = self.options.types.iter().find(|(typed, _)| typed == name);
        self.columns.push(Column {
            name: name.to_owned(),
            prefix,
            kind: fixed.map(|(_, kind)| *kind),
            is_fixed: fixed.is_some(),
            is_key: self.options.key.iter().any(|key| key == name),
            is_selected: true,
        });
        self.columns.len() - 1
    }
}

#[cfg(test)]
mod tests;
