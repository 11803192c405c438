//! The five messages: strict parsers that borrow, and the values that the writers take.

use std::borrow::Cow;

use crate::{
    json::Json,
    scan::{JsonError, JsonProblem, Member, members},
    text::unquote,
};

/// A whole line, checked strictly. Raw parts borrow from the line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// SCHEMA.
    Schema(SchemaMessage<'a>),
    /// RECORD.
    Record(RecordMessage<'a>),
    /// STATE.
    State(StateMessage<'a>),
    /// ACTIVATE_VERSION.
    ActivateVersion(ActivateVersionMessage<'a>),
    /// BATCH.
    Batch(BatchMessage<'a>),
    /// An object with another `type` (as written) or none; Singer says to ignore it.
    Unknown(Option<Cow<'a, str>>),
}

/// SCHEMA: what the records of a stream that follow look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaMessage<'a> {
    /// The stream.
    pub stream: Cow<'a, str>,
    /// The raw text of its JSON Schema, an object.
    pub schema: Cow<'a, str>,
    /// Names of the properties that identify a record. Taps that leave it out or send null mean
    /// none.
    pub key_properties: Vec<String>,
    /// Names of the properties that bookmarks are made of.
    pub bookmark_properties: Vec<String>,
}

/// RECORD: one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMessage<'a> {
    /// The stream.
    pub stream: Cow<'a, str>,
    /// The raw text of the record, an object.
    pub record: &'a str,
    /// Version of the table that the record belongs to, for ACTIVATE_VERSION.
    pub version: Option<i64>,
    /// When the tap read the record, RFC 3339 as sent.
    pub time_extracted: Option<Cow<'a, str>>,
}

/// STATE: the position to start from next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMessage<'a> {
    /// The raw text of the value, an object; targets echo exactly these bytes.
    pub value: &'a str,
}

/// ACTIVATE_VERSION: rows of other versions may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivateVersionMessage<'a> {
    /// The stream.
    pub stream: Cow<'a, str>,
    /// The version that stays.
    pub version: i64,
}

/// BATCH: records in files instead of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The stream.
    pub stream: Cow<'a, str>,
    /// Format of the files, for example `jsonl`.
    pub format: Cow<'a, str>,
    /// Compression of the files, for example `gzip`.
    pub compression: Option<Cow<'a, str>>,
    /// URLs of the files, in order.
    pub manifest: Vec<String>,
}

/// Why a line is not a sound message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The line is not one sound JSON object.
    #[error("not a JSON object")]
    Json(#[from] JsonError),
    /// The message lacks a member that it must have.
    #[error("{kind} without its \"{member}\"")]
    MissingMember {
        /// Name of the message.
        kind: &'static str,
        /// Name of the member.
        member: &'static str,
    },
    /// A member holds the wrong kind of value.
    #[error("the \"{member}\" of {kind} must be {expected}")]
    WrongMember {
        /// Name of the message.
        kind: &'static str,
        /// Name of the member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl<'a> Message<'a> {
    /// Parses and checks one line, with or without its line end.
    pub fn parse(line: &'a [u8]) -> Result<Self, MessageError> {
        let text = std::str::from_utf8(line).map_err(|error| JsonError {
            offset: error.valid_up_to(),
            problem: JsonProblem::NotUtf8,
        })?;
        let mut parts = Parts::default();
        for member in members(text) {
            parts.note(&member?);
        }
        let Some(name) = parts.name else { return Ok(Self::Unknown(None)) };
        let Some(name) = unquote(name) else { return Ok(Self::Unknown(None)) };
        parts.build(name)
    }
}

/// The raw members of a message; the first of two equal keys counts.
#[derive(Default)]
struct Parts<'a> {
    name: Option<&'a str>,
    stream: Option<&'a str>,
    record: Option<&'a str>,
    value: Option<&'a str>,
    schema: Option<&'a str>,
    version: Option<&'a str>,
    time_extracted: Option<&'a str>,
    key_properties: Option<&'a str>,
    bookmark_properties: Option<&'a str>,
    encoding: Option<&'a str>,
    manifest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn note(&mut self, member: &Member<'a>) {
        let place = match &*member.key {
            "type" => &mut self.name,
            "stream" => &mut self.stream,
            "record" => &mut self.record,
            "value" => &mut self.value,
            "schema" => &mut self.schema,
            "version" => &mut self.version,
            "time_extracted" => &mut self.time_extracted,
            "key_properties" => &mut self.key_properties,
            "bookmark_properties" => &mut self.bookmark_properties,
            "encoding" => &mut self.encoding,
            "manifest" => &mut self.manifest,
            _ => return,
        };
        place.get_or_insert(member.value);
    }

    fn build(&self, name: Cow<'a, str>) -> Result<Message<'a>, MessageError> {
        use crate::glance::Kind;
        let kind = Kind::from_name(&name);
        let Some(wire) = kind.name() else { return Ok(Message::Unknown(Some(name))) };
        let of = Of(wire);
        Ok(match kind {
            Kind::Record => Message::Record(RecordMessage {
                stream: of.text("stream", self.stream)?,
                record: of.object("record", self.record)?,
                version: self
                    .version
                    .filter(|raw| *raw != "null")
                    .map_or(Ok(None), |raw| of.integer("version", Some(raw)).map(Some))?,
                time_extracted: self.time_extracted.and_then(unquote),
            }),
            Kind::State => Message::State(StateMessage { value: of.object("value", self.value)? }),
            Kind::Schema => Message::Schema(SchemaMessage {
                stream: of.text("stream", self.stream)?,
                schema: Cow::Borrowed(of.object("schema", self.schema)?),
                key_properties: of.names("key_properties", self.key_properties)?,
                bookmark_properties: of.names("bookmark_properties", self.bookmark_properties)?,
            }),
            Kind::ActivateVersion => Message::ActivateVersion(ActivateVersionMessage {
                stream: of.text("stream", self.stream)?,
                version: of.integer("version", self.version)?,
            }),
            Kind::Batch => Message::Batch(of.batch(self)?),
            Kind::Unknown | Kind::NotJson => Message::Unknown(Some(name)),
        })
    }
}

/// Reads members of one kind of message.
#[derive(Clone, Copy)]
struct Of(&'static str);

impl Of {
    fn need<'a>(self, member: &'static str, raw: Option<&'a str>) -> Result<&'a str, MessageError> {
        raw.ok_or(MessageError::MissingMember { kind: self.0, member })
    }

    fn wrong(self, member: &'static str, expected: &'static str) -> MessageError {
        MessageError::WrongMember { kind: self.0, member, expected }
    }

    fn text<'a>(
        self,
        member: &'static str,
        raw: Option<&'a str>,
    ) -> Result<Cow<'a, str>, MessageError> {
        unquote(self.need(member, raw)?).ok_or_else(|| self.wrong(member, "a string"))
    }

    fn object<'a>(
        self,
        member: &'static str,
        raw: Option<&'a str>,
    ) -> Result<&'a str, MessageError> {
        let raw = self.need(member, raw)?;
        if raw.starts_with('{') { Ok(raw) } else { Err(self.wrong(member, "an object")) }
    }

    fn integer(self, member: &'static str, raw: Option<&str>) -> Result<i64, MessageError> {
        let raw = self.need(member, raw)?;
        raw.parse().map_err(|_| self.wrong(member, "an integer"))
    }

    fn names(self, member: &'static str, raw: Option<&str>) -> Result<Vec<String>, MessageError> {
        match raw {
            None | Some("null") => Ok(Vec::new()),
            Some(raw) => {
                serde_json::from_str(raw).map_err(|_| self.wrong(member, "an array of strings"))
            }
        }
    }

    fn batch<'a>(self, parts: &Parts<'a>) -> Result<BatchMessage<'a>, MessageError> {
        let encoding = self.object("encoding", parts.encoding)?;
        let (mut format, mut compression) = (None, None);
        for member in members(encoding) {
            let member = member?;
            match &*member.key {
                "format" => format = unquote(member.value),
                "compression" => compression = unquote(member.value),
                _ => {}
            }
        }
        self.need("manifest", parts.manifest)?;
        Ok(BatchMessage {
            stream: self.text("stream", parts.stream)?,
            format: format
                .ok_or_else(|| self.wrong("encoding", "an object that names its format"))?,
            compression,
            manifest: self.names("manifest", parts.manifest)?,
        })
    }
}

impl SchemaMessage<'_> {
    /// The schema as a tree.
    pub fn schema_tree(&self) -> Result<Json, JsonError> {
        Json::parse(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        let error = Message::parse(line.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).map(|s| format!(": {s}"));
        format!("{error}{}", source.unwrap_or_default())
    }

    #[test]
    fn raw_parts_are_the_bytes_of_the_line() {
        let line =
            br#"{"type":"RECORD","stream":"a","record":{"x": 1.50, "y":"\u00e9"},"version":7}"#;
        let Message::Record(record) = Message::parse(line).unwrap() else { panic!("a record") };
        assert_eq!(record.record, r#"{"x": 1.50, "y":"\u00e9"}"#);
        assert_eq!(record.version, Some(7));

        let line = br#"{"value": {"bookmarks": {"a": 1.0}} ,"type":"state"}"#;
        let Message::State(state) = Message::parse(line).unwrap() else { panic!("a state") };
        assert_eq!(state.value, r#"{"bookmarks": {"a": 1.0}}"#);
    }

    #[test]
    fn keys_that_are_missing_or_null_mean_none() {
        for keys in ["", ",\"key_properties\":null", ",\"key_properties\":[]"] {
            let line = format!("{{\"type\":\"SCHEMA\",\"stream\":\"a\",\"schema\":{{}}{keys}}}");
            let Message::Schema(schema) = Message::parse(line.as_bytes()).unwrap() else {
                panic!("a schema")
            };
            assert_eq!(schema.key_properties, Vec::<String>::new());
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        insta::assert_snapshot!(
            [
                r#"{"type":"RECORD","stream":"a"}"#,
                r#"{"type":"RECORD","stream":7,"record":{}}"#,
                r#"{"type":"RECORD","stream":"a","record":[]}"#,
                r#"{"type":"RECORD","stream":"a","record":{"x":NaN}}"#,
                r#"{"type":"RECORD","stream":"a","record":{"x":1}"#,
                r#"{"type":"STATE","value":7}"#,
                r#"{"type":"SCHEMA","stream":"a","schema":{},"key_properties":["a",1]}"#,
                r#"{"type":"ACTIVATE_VERSION","stream":"a","version":1.5}"#,
                r#"{"type":"BATCH","stream":"a","encoding":{},"manifest":[]}"#,
                r"oops",
            ]
            .map(error)
            .join("\n"),
            @r#"
        RECORD without its "record"
        the "stream" of RECORD must be a string
        the "record" of RECORD must be an object
        not a JSON object: byte 45: NaN is not a JSON number; send null or a string instead
        not a JSON object: byte 47: the text ends inside a value
        the "value" of STATE must be an object
        the "key_properties" of SCHEMA must be an array of strings
        the "version" of ACTIVATE_VERSION must be an integer
        the "encoding" of BATCH must be an object that names its format
        not a JSON object: byte 1: expected an object
        "#
        );
    }

    #[test]
    fn unknown_types_are_kept_by_name() {
        let parsed = Message::parse(br#"{"type":"HELLO"}"#).unwrap();
        assert_eq!(parsed, Message::Unknown(Some("HELLO".into())));
        assert_eq!(Message::parse(b"{}").unwrap(), Message::Unknown(None));
        assert_eq!(Message::parse(br#"{"type":null}"#).unwrap(), Message::Unknown(None));
    }
}
