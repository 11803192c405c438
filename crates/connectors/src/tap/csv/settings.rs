//! The configuration of `tap-csv`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::infer::Kind;
use crate::settings::SettingsError;

/// Configuration of `tap-csv`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvSettings {
    /// The files, each entry with its own way to read them.
    pub(crate) files: Vec<FileSettings>,
}

/// One file, or several of the same make.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileSettings {
    /// Path of a file, or a pattern with `*`, `?`, `[…]` and `**`. Files must be UTF-8.
    pub(crate) path: String,
    /// Name of the stream that all of these files belong to. Without it each file is a stream,
    /// named by its file name without the extension.
    pub(crate) stream: Option<String>,
    /// Columns that identify a row; they must not be empty.
    #[serde(default)]
    pub(crate) key: Vec<String>,
    /// One ASCII character between fields; `,` unless given.
    pub(crate) delimiter: Option<String>,
    /// One ASCII character around fields that contain delimiters or line ends; `"` unless given.
    pub(crate) quote: Option<String>,
    /// Names of the columns of files that have no header row.
    pub(crate) header: Option<Vec<String>>,
    /// A column that only grows: rows whose value is greater than the last one are new. Without it
    /// rows are new by their place in the file.
    pub(crate) replication_key: Option<String>,
    /// Types of columns that are not to be inferred.
    #[serde(default)]
    pub(crate) types: BTreeMap<String, ColumnType>,
    /// Texts that mean null. Only the empty field unless given; list `""` too to keep that.
    pub(crate) null_values: Option<Vec<String>>,
    /// What a quoted empty field (`""`) means.
    #[serde(default)]
    pub(crate) quoted_empty: QuotedEmpty,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ColumnType {
    /// true and false, in any case, also yes/no, t/f, y/n, 1/0.
    Boolean,
    /// A whole number of 64 bits; leading zeros are dropped.
    Integer,
    /// Any JSON number.
    Number,
    /// Any text.
    String,
    /// A date, `2024-05-31`.
    Date,
    /// A date and time, `2024-05-31T10:00:00Z` or with a space in place of the T.
    DateTime,
}

/// What a quoted empty field means.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QuotedEmpty {
    /// The empty string.
    #[default]
    String,
    /// Null, as the unquoted empty field.
    Null,
}

impl ColumnType {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Integer => Kind::Integer,
            Self::Number => Kind::Number,
            Self::String => Kind::String,
            Self::Date => Kind::Date,
            Self::DateTime => Kind::DateTime,
        }
    }
}

impl CsvSettings {
    /// Checks what the schema cannot say.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (index, file) in self.files.iter().enumerate() {
            for (name, value) in [("delimiter", &file.delimiter), ("quote", &file.quote)] {
                let is_sound = value.as_deref().is_none_or(|text| {
                    matches!(text.as_bytes(), [byte] if byte.is_ascii() && !b"\r\n".contains(byte))
                });
                if !is_sound {
                    return Err(SettingsError::Value(format!(
                        "files[{index}].{name} must be one ASCII character and no line end"
                    )));
                }
            }
            if file.delimiter_byte() == file.quote_byte() {
                return Err(SettingsError::Value(format!(
                    "files[{index}]: delimiter and quote must differ"
                )));
            }
        }
        Ok(())
    }
}

impl FileSettings {
    pub(crate) fn delimiter_byte(&self) -> u8 {
        single_byte(self.delimiter.as_ref(), b',')
    }

    pub(crate) fn quote_byte(&self) -> u8 {
        single_byte(self.quote.as_ref(), b'"')
    }
}

fn single_byte(text: Option<&String>, default: u8) -> u8 {
    text.and_then(|text| text.bytes().next()).unwrap_or(default)
}
