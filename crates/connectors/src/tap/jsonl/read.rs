//! `tap-jsonl` as a record format.

use std::str;

use flexcore_singer::{CatalogStream, Json, Object, members, write_record_start, write_string};

use super::properties::{Properties, Types};
use crate::tap::{
    blocks::{Blocks, MAX_RECORD},
    error::RecordError,
    format::{KeyValue, RecordFormat, SAMPLE_BYTES, SAMPLE_RECORDS},
};

/// Reads lines and writes them as RECORD lines.
#[derive(Clone)]
pub(super) struct JsonlFormat {
    properties: Properties,
    selects_all: bool,
    key: Vec<String>,
    /// `{"type":"RECORD","stream":"…","record":`
    record_start: Vec<u8>,
    line: u64,
    next_line: u64,
}

impl JsonlFormat {
    pub(super) fn new(stream: &str, key: &[String]) -> Self {
        let mut record_start = Vec::new();
        write_record_start(&mut record_start, stream);
        Self {
            properties: Properties::new(key),
            selects_all: true,
            key: key.to_vec(),
            record_start,
            line: 1,
            next_line: 1,
        }
    }

    /// Checks a record and notes new properties and types; whether there were none.
    fn note(&mut self, record: &str) -> Result<bool, RecordError> {
        let mut keys = 0;
        let mut fits = true;
        for (guess, member) in members(record).enumerate() {
            let member = member?;
            let types = Types::of(member.value);
            let found = self.properties.find(&member.key, guess);
            let known = found.map(|index| &self.properties.list()[index]);
            if known.is_some_and(|p| p.is_key) && !types.is_null() {
                keys += 1;
            }
            let is_known =
                known.is_some_and(|p| p.types.contains(types) || (types.is_null() && !p.is_key));
            if !is_known {
                fits = false;
                self.properties.widen(&member.key, types);
            }
        }
        if keys < self.key.len() && fits {
            return Err(RecordError::NullKey(self.missing_key(record)));
        }
        Ok(fits)
    }

    #[cold]
    fn missing_key(&self, record: &str) -> String {
        let has = |key: &String| {
            members(record)
                .filter_map(Result::ok)
                .any(|member| member.key == key.as_str() && member.value != "null")
        };
        self.key.iter().find(|key| !has(key)).cloned().unwrap_or_default()
    }

    /// Writes only the members that are selected.
    fn write_selected(&self, record: &str, out: &mut Vec<u8>) -> Result<(), RecordError> {
        out.push(b'{');
        let first = out.len();
        for (guess, member) in members(record).enumerate() {
            let member = member?;
            let index = self.properties.find(&member.key, guess);
            if index.is_none_or(|index| self.properties.list()[index].is_selected) {
                if out.len() > first {
                    out.push(b',');
                }
                write_string(out, &member.key);
                out.push(b':');
                out.extend_from_slice(member.value.as_bytes());
            }
        }
        out.push(b'}');
        Ok(())
    }
}

fn text(record: &[u8]) -> Result<&str, RecordError> {
    match str::from_utf8(record.trim_ascii()) {
        Ok(text) => Ok(text),
        Err(error) => {
            let leading = record.len() - record.trim_ascii_start().len();
            Err(RecordError::NotUtf8 { offset: leading + error.valid_up_to() })
        }
    }
}

impl RecordFormat for JsonlFormat {
    fn sample(&mut self, blocks: &mut Blocks) -> Result<(), RecordError> {
        self.begin_file(blocks)?;
        for _ in 0..SAMPLE_RECORDS {
            let Some(length) = self.next(blocks)? else { break };
            let record = text(&blocks.available()[..length])?.to_owned();
            self.note(&record)?;
            blocks.consume(length);
            if blocks.offset() > SAMPLE_BYTES {
                break;
            }
        }
        Ok(())
    }

    fn widen_to(&mut self, types: &Object) {
        types.iter().for_each(|(name, types)| self.properties.widen_to(name, types));
    }

    fn apply(&mut self, stream: &CatalogStream) {
        if let Some(properties) = stream.schema.get("properties").and_then(Json::as_object) {
            for (name, schema) in properties.iter() {
                if let Some(types) = schema.get("type") {
                    self.properties.widen_to(name, types);
                }
            }
        }
        for property in self.properties.iter_mut() {
            let breadcrumb = ["properties".to_owned(), property.name.clone()];
            property.is_selected = property.is_key || stream.is_property_selected(&breadcrumb);
        }
        self.selects_all = self.properties.list().iter().all(|property| property.is_selected);
    }

    fn types(&self) -> Object {
        self.properties.to_types()
    }

    fn schema(&self) -> Json {
        self.properties.schema()
    }

    fn properties(&self) -> Vec<&str> {
        self.properties.list().iter().map(|property| property.name.as_str()).collect()
    }

    fn begin_file(&mut self, _blocks: &mut Blocks) -> Result<bool, RecordError> {
        self.resume_at(1);
        Ok(false)
    }

    fn resume_at(&mut self, line: u64) {
        (self.line, self.next_line) = (line, line);
    }

    #[inline]
    fn next(&mut self, blocks: &mut Blocks) -> Result<Option<usize>, RecordError> {
        let mut searched = 0;
        loop {
            let available = blocks.available();
            let found = memchr::memchr(b'\n', &available[searched..]);
            let length = match found {
                Some(at) => searched + at + 1,
                None if blocks.is_at_end() => available.len(),
                None => {
                    searched = available.len();
                    fill(blocks)?;
                    continue;
                }
            };
            if length == 0 {
                return Ok(None);
            }
            self.line = self.next_line;
            self.next_line += u64::from(found.is_some());
            if !available[..length].trim_ascii().is_empty() {
                return Ok(Some(length));
            }
            blocks.consume(length);
            searched = 0;
        }
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn next_line(&self) -> u64 {
        self.next_line
    }

    fn key_value<'a>(
        &'a self,
        record: &'a [u8],
        property: &str,
    ) -> Result<KeyValue<'a>, RecordError> {
        for member in members(text(record)?) {
            let member = member?;
            if member.key == property {
                let value = member.value;
                return Ok(match value.as_bytes().first() {
                    // Escapes are rare in what streams are ordered by; compared as written.
                    Some(b'"') => KeyValue::Text(&value[1..value.len() - 1]),
                    Some(b'-' | b'0'..=b'9') => KeyValue::Number(value),
                    _ => KeyValue::Null,
                });
            }
        }
        Ok(KeyValue::Null)
    }

    #[inline]
    fn write(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<bool, RecordError> {
        let record = text(record)?;
        if !self.note(record)? {
            return Ok(false);
        }
        out.extend_from_slice(&self.record_start);
        if self.selects_all {
            out.extend_from_slice(record.as_bytes());
        } else {
            self.write_selected(record, out)?;
        }
        out.extend_from_slice(b"}\n");
        Ok(true)
    }
}

fn fill(blocks: &mut Blocks) -> Result<(), RecordError> {
    match blocks.fill() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Err(RecordError::TooLong(MAX_RECORD))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use flexcore_singer::Catalog;

    use super::*;

    fn send(format: &mut JsonlFormat, content: &str) -> Result<Vec<String>, RecordError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        fs::write(&path, content).unwrap();
        let mut blocks = Blocks::open(&path).unwrap();
        format.begin_file(&mut blocks)?;
        let mut lines = Vec::new();
        while let Some(length) = format.next(&mut blocks)? {
            let record = blocks.available()[..length].to_vec();
            let mut out = Vec::new();
            while !format.write(&record, &mut out)? {
                out.clear();
                lines.push(format.schema().to_string());
            }
            lines.push(String::from_utf8(out).unwrap().trim_end().to_owned());
            blocks.consume(length);
        }
        Ok(lines)
    }

    #[test]
    fn records_keep_their_bytes_and_new_types_widen_the_schema() {
        let mut format = JsonlFormat::new("s", &[]);
        let content =
            "{\"a\": 1.50, \"b\":\"\\u00e9\"}\n\n{\"a\":2,\"c\":[1]}\r\n{\"b\":null,\"a\":\"x\"}";
        insta::assert_snapshot!(send(&mut format, content).unwrap().join("\n"), @r#"
        {"type":"object","properties":{"a":{"type":["number","null"]},"b":{"type":["string","null"]}}}
        {"type":"RECORD","stream":"s","record":{"a": 1.50, "b":"\u00e9"}}
        {"type":"object","properties":{"a":{"type":["number","null"]},"b":{"type":["string","null"]},"c":{"type":["array","null"]}}}
        {"type":"RECORD","stream":"s","record":{"a":2,"c":[1]}}
        {"type":"object","properties":{"a":{"type":["number","string","null"]},"b":{"type":["string","null"]},"c":{"type":["array","null"]}}}
        {"type":"RECORD","stream":"s","record":{"b":null,"a":"x"}}
        "#);
        assert_eq!((format.line(), format.next_line()), (4, 4));
    }

    #[test]
    fn properties_that_are_not_selected_are_left_out() {
        let catalog = Catalog::parse(
            r#"{"streams":[{"stream":"s","schema":{"properties":{"a":{},"b":{"type":"string"}}},
            "metadata":[{"breadcrumb":["properties","b"],"metadata":{"selected":false}}]}]}"#,
        )
        .unwrap();
        let mut format = JsonlFormat::new("s", &["a".to_owned()]);
        format.apply(&catalog.streams[0]);
        let lines = send(&mut format, "{\"a\":1,\"b\":\"x\",\"c\":2}\n").unwrap();
        assert_eq!(
            lines.last().unwrap(),
            r#"{"type":"RECORD","stream":"s","record":{"a":1,"c":2}}"#
        );
    }

    #[test]
    fn broken_lines_and_missing_keys_are_errors() {
        let error = |content: &str| {
            let mut format = JsonlFormat::new("s", &["id".to_owned()]);
            crate::log::chain(&send(&mut format, content).unwrap_err())
        };
        assert_eq!(error("[1]\n"), "not a JSON object: byte 1: expected an object");
        assert_eq!(
            error("{\"id\":NaN}\n"),
            "not a JSON object: byte 7: NaN is not a JSON number; send null or a string instead"
        );
        assert_eq!(
            error("{\"id\":1,\"a\":\n"),
            "not a JSON object: byte 13: the text ends inside a value"
        );
        assert_eq!(error("{\"id\":1}\n{\"id\":null}\n"), "key 'id' has no value");
        assert_eq!(error("{\"id\":1}\n{}\n"), "key 'id' has no value");
    }
}
