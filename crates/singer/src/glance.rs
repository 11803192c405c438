//! Kind and stream of a line at memory speed.

use std::borrow::Cow;

use crate::scan::{JsonError, Scanner};

/// What a line of a Singer stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Describes the records of a stream that follow.
    Schema,
    /// One record.
    Record,
    /// A bookmark: everything before it has been sent.
    State,
    /// Ends a full-table sync: rows of other versions may be deleted.
    ActivateVersion,
    /// Names files of records.
    Batch,
    /// A JSON object with another `type`, or with none. Singer allows and ignores these.
    Unknown,
    /// Not a JSON object: a log line or garbage on the tap's standard output.
    NotJson,
}

impl Kind {
    /// The kind with this name; Singer's names are compared without regard to case.
    pub fn from_name(name: &str) -> Self {
        Self::from_bytes(name.as_bytes())
    }

    fn from_bytes(name: &[u8]) -> Self {
        const NAMES: [(&[u8], Kind); 5] = [
            (b"RECORD", Kind::Record),
            (b"STATE", Kind::State),
            (b"SCHEMA", Kind::Schema),
            (b"ACTIVATE_VERSION", Kind::ActivateVersion),
            (b"BATCH", Kind::Batch),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Kind::Unknown, |(_, kind)| *kind)
    }

    /// The name on the wire; `None` for [`Kind::Unknown`] and [`Kind::NotJson`].
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Schema => Some("SCHEMA"),
            Self::Record => Some("RECORD"),
            Self::State => Some("STATE"),
            Self::ActivateVersion => Some("ACTIVATE_VERSION"),
            Self::Batch => Some("BATCH"),
            Self::Unknown | Self::NotJson => None,
        }
    }
}

/// What [`glance`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// The kind of the line.
    pub kind: Kind,
    /// The stream it belongs to; `None` for STATE, for lines that are no message, and for broken
    /// messages that name no stream.
    pub stream: Option<Cow<'a, str>>,
}

impl<'a> Glance<'a> {
    fn of(kind: Kind, stream: Option<Cow<'a, str>>) -> Self {
        Self { kind, stream }
    }
}

/// Tells kind and stream of a line without parsing the rest of it.
///
/// A line passes as a message if it is `{…}` and its text is sound as far as it had to be read;
/// whether the rest is sound is for [`crate::Message::parse`] to say. Order of keys, spaces,
/// escapes and the case of the type do not matter, and keys inside of the record are not taken for
/// those of the message. The first of two equal keys counts. The line may carry its line end.
#[inline]
pub fn glance(line: &[u8]) -> Glance<'_> {
    match usual(line) {
        Some(glance) => glance,
        None => thorough(line),
    }
}

/// The form that nearly every tap writes: `type` first, then `stream`, at most one space.
#[inline]
fn usual(line: &[u8]) -> Option<Glance<'_>> {
    let rest = line.strip_prefix(b"{\"type\":")?;
    let rest = skip_one_space(rest).strip_prefix(b"\"")?;
    let (kind, rest) = if let Some(rest) = rest.strip_prefix(b"RECORD\"") {
        (Kind::Record, rest)
    } else if let Some(rest) = rest.strip_prefix(b"SCHEMA\"") {
        (Kind::Schema, rest)
    } else {
        return None;
    };
    let rest = skip_one_space(rest.strip_prefix(b",")?);
    let rest = skip_one_space(rest.strip_prefix(b"\"stream\":")?).strip_prefix(b"\"")?;
    let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    if rest[length] != b'"' || !ends_as_object(line) {
        return None;
    }
    let stream = std::str::from_utf8(&rest[..length]).ok()?;
    Some(Glance::of(kind, Some(Cow::Borrowed(stream))))
}

#[inline]
fn skip_one_space(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}

#[inline]
fn ends_as_object(line: &[u8]) -> bool {
    line.trim_ascii_end().last() == Some(&b'}')
}

#[cold]
fn thorough(line: &[u8]) -> Glance<'_> {
    if !ends_as_object(line) {
        return Glance::of(Kind::NotJson, None);
    }
    scan(line).unwrap_or(Glance::of(Kind::NotJson, None))
}

/// Reads members until kind and stream are known.
fn scan(line: &[u8]) -> Result<Glance<'_>, JsonError> {
    let mut scanner = Scanner::lenient(line);
    let mut kind = None;
    let mut stream = None;
    let mut another = scanner.enter_object()?;
    while another {
        let start = scanner.at;
        scanner.string()?;
        let key = scanner.since(start);
        scanner.colon()?;
        let start = scanner.at;
        scanner.value()?;
        let value = scanner.since(start);
        match &*text(key).unwrap_or_default() {
            "type" if kind.is_none() => {
                kind = Some(text(value).map_or(Kind::Unknown, |name| Kind::from_name(&name)));
            }
            "stream" if stream.is_none() => stream = text(value),
            _ => {}
        }
        match kind {
            Some(Kind::State) => return Ok(Glance::of(Kind::State, None)),
            Some(kind) if stream.is_some() => return Ok(Glance::of(kind, stream)),
            _ => {}
        }
        another = scanner.next_member()?;
    }
    scanner.end()?;
    Ok(Glance::of(kind.unwrap_or(Kind::Unknown), stream))
}

fn text(literal: &[u8]) -> Option<Cow<'_, str>> {
    crate::text::unquote(std::str::from_utf8(literal).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(line: &str) -> (Kind, Option<String>) {
        let glance = glance(line.as_bytes());
        (glance.kind, glance.stream.map(Cow::into_owned))
    }

    fn record(stream: &str) -> (Kind, Option<String>) {
        (Kind::Record, Some(stream.to_owned()))
    }

    #[test]
    fn the_usual_forms_are_told() {
        assert_eq!(seen(r#"{"type":"RECORD","stream":"orders","record":{}}"#), record("orders"));
        assert_eq!(seen(r#"{"type": "RECORD", "stream": "o", "record": {"a": 1}}"#), record("o"));
        assert_eq!(
            seen("{\"type\":\"SCHEMA\",\"stream\":\"é\",\"schema\":{}}\r\n"),
            (Kind::Schema, Some("é".to_owned()))
        );
        assert_eq!(seen(r#"{"type":"STATE","value":{"type":"RECORD"}}"#), (Kind::State, None));
        assert_eq!(
            seen(r#"{"type":"ACTIVATE_VERSION","stream":"a","version":1}"#),
            (Kind::ActivateVersion, Some("a".to_owned()))
        );
        assert_eq!(
            seen(r#"{"type":"BATCH","stream":"a","encoding":{},"manifest":[]}"#),
            (Kind::Batch, Some("a".to_owned()))
        );
    }

    #[test]
    fn order_spaces_escapes_and_case_do_not_matter() {
        assert_eq!(
            seen(r#"{"record":{"type":"STATE"},"stream":"a","type":"record"}"#),
            record("a")
        );
        assert_eq!(seen("  { \"stream\" :\t\"a\" , \"type\" : \"Record\" }  "), record("a"));
        assert_eq!(seen(r#"{"ty\u0070e":"RECOR\u0044","stream":"a\"b"}"#), record("a\"b"));
        assert_eq!(seen(r#"{"type":"RECORD","stream":"a\u00e9"}"#), record("aé"));
        assert_eq!(seen(r#"{"type":"RECORD","record":{"stream":"no"},"stream":"a"}"#), record("a"));
    }

    #[test]
    fn python_number_tokens_pass() {
        let line = r#"{"record":{"x":NaN,"y":-Infinity},"type":"RECORD","stream":"a"}"#;
        assert_eq!(seen(line), record("a"));
    }

    #[test]
    fn other_objects_are_unknown_and_other_lines_are_not_json() {
        assert_eq!(seen(r#"{"type":"WHATEVER","stream":"a"}"#).0, Kind::Unknown);
        assert_eq!(seen(r#"{"a":1}"#), (Kind::Unknown, None));
        assert_eq!(seen(r#"{"type":7}"#), (Kind::Unknown, None));
        assert_eq!(seen("{}").0, Kind::Unknown);
        for line in ["", "INFO starting", "[1]", "7", "{\"a\"}", "{", "}"] {
            assert_eq!(seen(line), (Kind::NotJson, None), "{line}");
        }
        assert_eq!(seen(r#"{"type":"RECORD","stream":"a","rec"#).0, Kind::NotJson);
        assert_eq!(glance(b"{\"type\":\"RECORD\",\"stream\":\"\xff\"}").stream, None);
    }

    #[test]
    fn a_message_without_its_stream_has_none() {
        assert_eq!(seen(r#"{"type":"RECORD","record":{}}"#), (Kind::Record, None));
        assert_eq!(seen(r#"{"type":"RECORD","stream":7,"record":{}}"#), (Kind::Record, None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_glance(line in any::<Vec<u8>>()) {
            glance(&line);
        }

        #[test]
        fn no_mangled_message_panics_the_glance(
            cut in 0_usize..60,
            byte in any::<u8>(),
        ) {
            let mut line = br#"{"type": "RECORD", "stream": "a\u00e9b", "record": {"a": [1]}}"#.to_vec();
            line[cut] = byte;
            glance(&line);
            glance(&line[..cut]);
        }

        #[test]
        fn the_fast_form_agrees_with_the_thorough_one(
            stream in any::<String>(),
            spaced in any::<bool>(),
        ) {
            let stream = serde_json::to_string(&stream).unwrap();
            let space = if spaced { " " } else { "" };
            let line = format!(
                "{{\"type\":{space}\"RECORD\",{space}\"stream\":{space}{stream},{space}\"record\":{space}{{}}}}"
            );
            prop_assert_eq!(glance(line.as_bytes()), thorough(line.as_bytes()));
        }
    }
}
