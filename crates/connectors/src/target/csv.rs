//! `target-csv`: one file per stream with a header row.
//!
//! # Text
//!
//! Fields are quoted only where they must be (they contain the delimiter, a quote or a line end),
//! lines end with `\n`, numbers keep the digits that they came in, booleans are `true` and `false`,
//! and objects and arrays are their JSON text. Null is an empty field and the empty string is `""`,
//! which `tap-csv` and PostgreSQL read back as what they were. The one exception: in a file of a
//! single column null is written as `""` too, since an empty line is no row.
//!
//! # Columns
//!
//! They are the top-level properties of the first SCHEMA, in its order. A CSV file cannot grow
//! columns, so a later SCHEMA with more of them is an error. ACTIVATE_VERSION is passed over.

mod write;

use std::{borrow::Cow, fs::File, io::Read as _, path::Path};

use csv_core::{ReadRecordResult, ReaderBuilder};
use flexcore_singer::{Json, Object, RecordMessage, SchemaMessage};
use schemars::JsonSchema;
use serde::Deserialize;

use self::write::RowWriter;
use crate::{
    environment::Environment,
    failure::Failure,
    log,
    settings::{self, SettingsError},
    target::{
        columns::ExtraProperties,
        error::{SinkError, TargetError},
        files::Files,
        sink::{Sink, StateHash},
        template::Template,
    },
};

/// Configuration of `target-csv`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvSettings {
    /// A folder, which gets `<stream>.csv` for each stream, or a path with `{stream}` in it.
    path: String,
    /// One ASCII character between fields; `,` unless given.
    delimiter: Option<String>,
    /// What to do with properties of a record that the SCHEMA does not name.
    #[serde(default)]
    extra_properties: ExtraProperties,
}

impl CsvSettings {
    fn delimiter(&self) -> Result<u8, SettingsError> {
        match self.delimiter.as_deref().unwrap_or(",").as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
            _ => Err(SettingsError::Value(
                "delimiter must be one ASCII character and no quote or line end".to_owned(),
            )),
        }
    }
}

/// Makes the target from its configuration file.
pub(crate) fn open_csv(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Box<dyn Sink>, Failure> {
    let settings: CsvSettings = settings::read(path)?;
    let delimiter = settings.delimiter()?;
    let template = Template::new(&settings.path, "csv");
    let files = Files::open(template, environment).map_err(TargetError::Open)?;
    let extra = settings.extra_properties;
    Ok(Box::new(CsvSink { files, streams: Vec::new(), last: 0, delimiter, extra }))
}

struct CsvSink {
    files: Files,
    streams: Vec<CsvStream>,
    last: usize,
    delimiter: u8,
    extra: ExtraProperties,
}

struct CsvStream {
    name: String,
    file: usize,
    key: Vec<usize>,
    writer: RowWriter,
}

impl CsvSink {
    fn open_stream(&mut self, stream: &str, columns: Vec<String>) -> Result<usize, SinkError> {
        let delimiter = self.delimiter;
        let keeps_unfinished = !self.files.can_be_resumed();
        let torn = |path: &Path| end_of_last_row(path, delimiter, keeps_unfinished);
        let file = self.files.of_stream(stream, &torn)?;
        let writer = RowWriter::new(columns, delimiter, self.extra);
        let output = self.files.get(file);
        if output.length() == 0 {
            writer.write_header(output.buffer());
        } else {
            let found = read_header(output.path(), delimiter)
                .map_err(SinkError::file("read", output.path()))?;
            if found != writer.columns() {
                return Err(SinkError::Columns {
                    path: output.path().to_owned(),
                    found: found.join(", "),
                    expected: writer.columns().join(", "),
                });
            }
            end_last_row(output.path())
                .map_err(SinkError::file("read", output.path()))?
                .then(|| output.buffer().push(b'\n'));
        }
        self.streams.push(CsvStream { name: stream.to_owned(), file, key: Vec::new(), writer });
        Ok(self.streams.len() - 1)
    }
}

impl Sink for CsvSink {
    fn schema(&mut self, message: &SchemaMessage<'_>) -> Result<(), SinkError> {
        let columns = columns(message)?;
        let known = self.streams.iter().position(|stream| stream.name == message.stream);
        let index = match known {
            None => self.open_stream(&message.stream, columns)?,
            Some(index) => {
                let known = self.streams[index].writer.columns();
                if let Some(new) = columns.into_iter().find(|name| !known.contains(name)) {
                    return Err(SinkError::NewColumn(new));
                }
                index
            }
        };
        let stream = &mut self.streams[index];
        let column = |key: &String| {
            stream.writer.columns().iter().position(|column| column == key).ok_or_else(|| {
                SinkError::Schema(format!("key property '{key}' is not among its properties"))
            })
        };
        stream.key = message.key_properties.iter().map(column).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn record(&mut self, record: &RecordMessage<'_>) -> Result<(), SinkError> {
        if self.streams.get(self.last).is_none_or(|stream| stream.name != record.stream) {
            let found = self.streams.iter().position(|stream| stream.name == record.stream);
            self.last = found.ok_or(SinkError::NoSchema)?;
        }
        let stream = &mut self.streams[self.last];
        let output = self.files.get(stream.file);
        stream.writer.write(record.record, &stream.key, output.buffer())?;
        output.flush_if_full()
    }

    fn activate_version(&mut self, stream: &str, _version: i64) -> Result<(), SinkError> {
        log::info(format_args!("stream '{stream}': files keep the rows of old versions"));
        Ok(())
    }

    fn checkpoint(&mut self, state: Option<&StateHash>) -> Result<(), SinkError> {
        self.files.checkpoint(state)
    }

    fn roll_back(&mut self) -> Result<(), SinkError> {
        self.files.roll_back()
    }
}

fn columns(message: &SchemaMessage<'_>) -> Result<Vec<String>, SinkError> {
    let schema = message.schema_tree().map_err(|error| SinkError::Schema(error.to_string()))?;
    let properties = schema.get("properties").and_then(Json::as_object);
    let columns: Vec<String> =
        properties.into_iter().flat_map(Object::keys).map(str::to_owned).collect();
    if columns.is_empty() {
        return Err(SinkError::Schema(
            "it names no properties, so there are no columns".to_owned(),
        ));
    }
    Ok(columns)
}

/// A row of a file on disk.
struct FoundRow<'a> {
    fields: Vec<Cow<'a, str>>,
    /// Where it ends in the file, with its line end.
    end: u64,
    /// Whether it has its line end.
    is_terminated: bool,
}

/// Walks the rows of a file, until `take` says that it has seen enough.
fn walk(
    path: &Path,
    delimiter: u8,
    mut take: impl FnMut(FoundRow<'_>) -> bool,
) -> std::io::Result<()> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let mut file = File::open(path)?;
    let mut block = vec![0; 256 << 10];
    let (mut text, mut ends) = (vec![0; 4096], vec![0; 64]);
    let (mut written, mut fields, mut position) = (0, 0, 0_u64);
    loop {
        let length = file.read(&mut block)?;
        let mut at = 0;
        // An empty input tells csv-core that the file has ended.
        loop {
            let (result, read, wrote, ended) =
                reader.read_record(&block[at..length], &mut text[written..], &mut ends[fields..]);
            at += read;
            position += read as u64;
            written += wrote;
            fields += ended;
            match result {
                ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(ends.iter().copied());
                    let row = FoundRow {
                        fields: starts
                            .zip(&ends[..fields])
                            .map(|(start, end)| String::from_utf8_lossy(&text[start..*end]))
                            .collect(),
                        end: position,
                        is_terminated: length > 0,
                    };
                    if !take(row) {
                        return Ok(());
                    }
                    (written, fields) = (0, 0);
                }
                ReadRecordResult::OutputFull => text.resize(2 * text.len(), 0),
                ReadRecordResult::OutputEndsFull => ends.resize(2 * ends.len(), 0),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::End => return Ok(()),
            }
            if at == length && length > 0 {
                break;
            }
        }
    }
}

fn read_header(path: &Path, delimiter: u8) -> std::io::Result<Vec<String>> {
    let mut header = Vec::new();
    walk(path, delimiter, |row| {
        header = row.fields.into_iter().map(Cow::into_owned).collect();
        false
    })?;
    Ok(header)
}

/// The end of the last row that is whole.
///
/// That is one with its line end: this target writes nothing else. In a file that people may have
/// made (`keeps_unfinished`) a last row without it counts too if it has all of its fields and does
/// not end within quotes.
fn end_of_last_row(path: &Path, delimiter: u8, keeps_unfinished: bool) -> std::io::Result<u64> {
    let (mut whole, mut width) = (0, None);
    let mut unfinished = None;
    walk(path, delimiter, |row| {
        let width = *width.get_or_insert(row.fields.len());
        if row.is_terminated {
            whole = row.end;
        } else if row.fields.len() == width {
            unfinished = Some(row.end);
        }
        true
    })?;
    match unfinished {
        Some(end) if keeps_unfinished && !ends_in_quotes(path, whole)? => Ok(end),
        _ => Ok(whole),
    }
}

/// Whether the text behind a row opens a quote that it does not close.
fn ends_in_quotes(path: &Path, from: u64) -> std::io::Result<bool> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    Ok(memchr::memchr_iter(b'"', &rest).count() % 2 == 1)
}

/// Whether the file needs a line end before the next row (`\r` alone also ends a row).
fn end_last_row(path: &Path) -> std::io::Result<bool> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(!matches!(last, [b'\n' | b'\r']))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_a_row_at_the_end_is_found_even_within_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for (content, ours, theirs) in [
            ("a,b\n", 4, 4),
            ("a,b\n1,2\n3", 8, 8),
            ("a,b\n1,2\n3,4", 8, 11),
            ("a,b\n1,\"x\ny\"\n3,\"x\ny", 12, 12),
            ("a,b", 0, 3),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(end_of_last_row(&path, b',', false).unwrap(), ours, "{content}");
            assert_eq!(end_of_last_row(&path, b',', true).unwrap(), theirs, "{content}");
        }
        fs::write(&path, "\"a\nb\",c\n1,2\n").unwrap();
        assert_eq!(read_header(&path, b',').unwrap(), ["a\nb", "c"]);
    }
}
