//! `tap-jsonl`: files with one JSON object per line.
//!
//! Records are sent in the very bytes they have in the file, unless properties are left out by the
//! catalog. The schema names for each property the JSON types that were seen; a new property or
//! type later in a file sends a wider SCHEMA before the record. Blank lines are passed over.

mod properties;
mod read;

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use self::read::JsonlFormat;
use crate::{
    failure::Failure,
    settings as configuration,
    tap::{
        Tap,
        files::find_streams,
        sync::{FileTap, StreamSource},
    },
};

/// Configuration of `tap-jsonl`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonlSettings {
    /// The files, each entry with its own way to read them.
    files: Vec<FileSettings>,
}

/// One file, or several of the same make.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FileSettings {
    /// Path of a file, or a pattern with `*`, `?`, `[…]` and `**`. Files must be UTF-8.
    path: String,
    /// Name of the stream that all of these files belong to. Without it each file is a stream,
    /// named by its file name without the extension.
    stream: Option<String>,
    /// Properties that identify a record; they must not be missing or null.
    #[serde(default)]
    key: Vec<String>,
    /// A property that only grows: records whose value is greater than the last one are new.
    /// Without it records are new by their place in the file.
    replication_key: Option<String>,
}

/// Makes the tap from its configuration file.
pub(crate) fn open_jsonl(path: Option<&Path>) -> Result<Box<dyn Tap>, Failure> {
    let settings: JsonlSettings = configuration::read(path)?;
    let entries = settings.files.iter().map(|f| (f.path.as_str(), f.stream.as_deref()));
    let sources = find_streams(entries)?
        .into_iter()
        .map(|stream| {
            let entry = &settings.files[stream.entry];
            StreamSource {
                key: entry.key.clone(),
                replication_key: entry.replication_key.clone(),
                format: JsonlFormat::new(&stream.name, &entry.key),
                stream,
            }
        })
        .collect();
    Ok(Box::new(FileTap { sources }))
}
