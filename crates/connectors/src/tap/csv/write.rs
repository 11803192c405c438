//! `tap-csv` as a record format: header, types, and RECORD lines without an allocation per row.

use std::str;

use flexcore_singer::{CatalogStream, Json, Object, members, write_string_bytes};

use super::{
    Column, CsvFormat,
    infer::{self, Kind},
};
use crate::tap::{
    blocks::Blocks,
    error::RecordError,
    format::{KeyValue, RecordFormat, SAMPLE_BYTES, SAMPLE_RECORDS},
};

impl RecordFormat for CsvFormat {
    fn sample(&mut self, blocks: &mut Blocks) -> Result<(), RecordError> {
        self.begin_file(blocks)?;
        for _ in 0..SAMPLE_RECORDS {
            let Some(length) = self.next(blocks)? else { break };
            for index in 0..self.row.fields() {
                if self.is_null(&blocks.available()[..length], index) {
                    continue;
                }
                let kind = Kind::of(self.row.field(index));
                let column = &mut self.columns[self.layout[index]];
                if !column.is_fixed {
                    column.kind = Some(column.kind.map_or(kind, |known| known.join(kind)));
                }
            }
            blocks.consume(length);
            if blocks.offset() > SAMPLE_BYTES {
                break;
            }
        }
        Ok(())
    }

    fn widen_to(&mut self, types: &Object) {
        for (name, kind) in types.iter() {
            let Some(kind) = kind.as_str().and_then(Kind::from_name) else { continue };
            let index = self.column(name);
            let column = &mut self.columns[index];
            if !column.is_fixed {
                column.kind = Some(column.kind.map_or(kind, |known| known.join(kind)));
            }
        }
    }

    fn apply(&mut self, stream: &CatalogStream) {
        for column in &mut self.columns {
            let breadcrumb = ["properties".to_owned(), column.name.clone()];
            column.is_selected = column.is_key || stream.is_property_selected(&breadcrumb);
            let schema = stream.schema.get("properties").and_then(|p| p.get(&column.name));
            let Some(kind) = schema.and_then(kind_of_schema) else { continue };
            if column.is_fixed || column.kind == Some(kind) {
                continue;
            }
            // A wider type than inferred is a better start; any other is the user's word.
            let is_wider = column.kind.is_none_or(|known| known.join(kind) == kind);
            column.is_fixed = !is_wider || matches!(kind, Kind::Date | Kind::DateTime);
            column.kind = Some(kind);
        }
    }

    fn types(&self) -> Object {
        self.columns
            .iter()
            .filter(|column| !column.is_fixed)
            .filter_map(|column| Some((column.name.as_str(), column.kind?.name().into())))
            .collect()
    }

    fn schema(&self) -> Json {
        let properties: Object = self
            .columns
            .iter()
            .filter(|column| column.is_selected)
            .map(|column| (column.name.as_str(), column.schema()))
            .collect();
        let schema: Object = [("type", Json::from("object")), ("properties", properties.into())]
            .into_iter()
            .collect();
        schema.into()
    }

    fn properties(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    fn begin_file(&mut self, blocks: &mut Blocks) -> Result<bool, RecordError> {
        self.row.begin();
        self.layout.clear();
        let names = match &self.options.header {
            Some(names) => names.clone(),
            None => self.read_header(blocks)?,
        };
        let known = self.columns.len();
        for name in &names {
            let index = self.column(name);
            if self.layout.contains(&index) {
                return Err(RecordError::DuplicateColumn(name.clone()));
            }
            self.layout.push(index);
        }
        Ok(self.columns.len() > known)
    }

    fn resume_at(&mut self, line: u64) {
        self.row.resume_at(line);
    }

    #[inline]
    fn next(&mut self, blocks: &mut Blocks) -> Result<Option<usize>, RecordError> {
        let length = self.row.read(blocks)?;
        let (found, expected) = (self.row.fields(), self.layout.len());
        if length.is_some() && found != expected {
            return Err(RecordError::FieldCount { found, expected });
        }
        Ok(length)
    }

    fn line(&self) -> u64 {
        self.row.line()
    }

    fn next_line(&self) -> u64 {
        self.row.next_line()
    }

    fn key_value<'a>(
        &'a self,
        _record: &'a [u8],
        property: &str,
    ) -> Result<KeyValue<'a>, RecordError> {
        let column = self.columns.iter().position(|column| column.name == property);
        let index = self.layout.iter().position(|index| Some(*index) == column);
        let Some(index) = index else { return Ok(KeyValue::Null) };
        let field = str::from_utf8(self.row.field(index)).unwrap_or_default();
        if field.is_empty() || self.options.null_texts.iter().any(|null| null == field) {
            return Ok(KeyValue::Null);
        }
        Ok(match Kind::of(field.as_bytes()) {
            Kind::Integer | Kind::Number => KeyValue::Number(field),
            _ => KeyValue::Text(field),
        })
    }

    #[inline]
    fn write(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<bool, RecordError> {
        out.extend_from_slice(&self.record_start);
        let first = out.len();
        for index in 0..self.layout.len() {
            let is_null = self.is_null(record, index);
            let column = &mut self.columns[self.layout[index]];
            if !column.is_selected {
                continue;
            }
            let comma = usize::from(out.len() == first);
            out.extend_from_slice(&column.prefix[comma..]);
            if is_null {
                if column.is_key {
                    return Err(RecordError::NullKey(column.name.clone()));
                }
                out.extend_from_slice(b"null");
            } else if !column.write(self.row.field(index), out)? {
                return Ok(false);
            }
        }
        out.extend_from_slice(b"}}\n");
        Ok(true)
    }
}

impl CsvFormat {
    fn read_header(&mut self, blocks: &mut Blocks) -> Result<Vec<String>, RecordError> {
        let Some(length) = self.row.read(blocks)? else { return Ok(Vec::new()) };
        let names = (0..self.row.fields())
            .map(|index| String::from_utf8_lossy(self.row.field(index)).into_owned())
            .collect();
        blocks.consume(length);
        Ok(names)
    }

    #[inline]
    fn is_null(&mut self, record: &[u8], index: usize) -> bool {
        let field = self.row.field(index);
        if !field.is_empty() {
            let texts = &self.options.null_texts;
            return !texts.is_empty() && texts.iter().any(|null| null.as_bytes() == field);
        }
        let options = &self.options;
        if options.empty_is_null == options.quoted_empty_is_null {
            return options.empty_is_null;
        }
        if self.row.is_quoted(record, index) {
            self.options.quoted_empty_is_null
        } else {
            self.options.empty_is_null
        }
    }
}

impl Column {
    /// Appends a value; false if it does not fit the type, which is then wider.
    #[inline]
    fn write(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<bool, RecordError> {
        if self.is_fixed {
            return self.write_fixed(text, out).map(|()| true);
        }
        // Only nulls so far: the schema said string, so strings they are from now on.
        let kind = *self.kind.get_or_insert(Kind::String);
        if kind == Kind::String {
            write_string_bytes(out, text);
            return Ok(true);
        }
        if kind.fits(text) {
            out.extend_from_slice(text);
            return Ok(true);
        }
        self.kind = Some(kind.join(Kind::of(text)));
        Ok(false)
    }

    /// Appends a value of a type that was given, in its JSON form.
    fn write_fixed(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let kind = self.kind.unwrap_or(Kind::String);
        let is_written = match kind {
            Kind::String => true,
            Kind::Date => infer::is_date(text),
            Kind::DateTime => infer::is_date_time(text),
            Kind::Integer => match str::from_utf8(text).ok().and_then(|t| t.parse::<i64>().ok()) {
                Some(number) => {
                    out.extend_from_slice(number.to_string().as_bytes());
                    return Ok(());
                }
                None => false,
            },
            Kind::Number if is_json_number(text) => {
                out.extend_from_slice(text);
                return Ok(());
            }
            Kind::Boolean => match boolean(text) {
                Some(flag) => {
                    out.extend_from_slice(if flag { b"true" } else { b"false" });
                    return Ok(());
                }
                None => false,
            },
            Kind::Number => false,
        };
        if !is_written {
            return Err(RecordError::Misfit {
                column: self.name.clone(),
                text: String::from_utf8_lossy(text).chars().take(60).collect(),
                expected: kind.name(),
            });
        }
        write_string_bytes(out, text);
        Ok(())
    }

    fn schema(&self) -> Json {
        let (name, format) = match self.kind.unwrap_or(Kind::String) {
            Kind::Date => ("string", Some("date")),
            Kind::DateTime => ("string", Some("date-time")),
            other => (other.name(), None),
        };
        let mut types = vec![Json::from(name)];
        if !self.is_key {
            types.push("null".into());
        }
        let mut schema: Object = [("type", Json::Array(types))].into_iter().collect();
        if let Some(format) = format {
            schema.insert("format", format.into());
        }
        schema.into()
    }
}

fn is_json_number(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && members(&format!("{{\"n\":{text}}}")).all(|member| member.is_ok_and(|m| m.value == text))
}

fn boolean(text: &[u8]) -> Option<bool> {
    let is_one_of =
        |words: [&str; 5]| words.iter().any(|w| w.as_bytes().eq_ignore_ascii_case(text));
    if is_one_of(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is_one_of(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// The type that a catalog gives to a property, if it is one of ours.
fn kind_of_schema(schema: &Json) -> Option<Kind> {
    let types: Vec<&str> = match schema.get("type")? {
        Json::String(name) => vec![name],
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        _ => return None,
    };
    let mut kinds = types.into_iter().filter(|name| *name != "null").map(Kind::from_name);
    let first = kinds.next()??;
    let kind = kinds.try_fold(first, |joined, kind| Some(joined.join(kind?)))?;
    match (kind, schema.get("format").and_then(Json::as_str)) {
        (Kind::String, Some("date")) => Some(Kind::Date),
        (Kind::String, Some("date-time")) => Some(Kind::DateTime),
        (kind, _) => Some(kind),
    }
}
