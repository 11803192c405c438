//! From text to tree, by `serde-saphyr`: YAML 1.2 with anchors and merge keys within a budget.
//! JSON is read by the same parser, since every JSON text is YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned, UserMessageFormatter};

use super::{Entry, Node, NodeKind};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Position, SourceFile},
};

/// The longest text that is read, in bytes: far beyond what a person writes.
const MAX_TEXT: usize = 4 << 20;
/// How many values a text may have after its aliases are expanded.
const MAX_NODES: usize = 200_000;
/// How deep lists and maps may nest.
const MAX_DEPTH: usize = 64;

/// The tree of a text with one document.
///
/// # Errors
/// One diagnostic: after the first malformed place nothing can be told of the rest.
pub(crate) fn parse(source: &SourceFile) -> Result<Node, Diagnostic> {
    if source.text.len() > MAX_TEXT {
        let message =
            format!("the file has {} bytes; at most {MAX_TEXT} are read", source.text.len());
        return Err(Diagnostic::about(Code::Malformed, &source.name, message));
    }
    let raw: RawNode = serde_saphyr::from_str_with_options(&source.text, options())
        .map_err(|error| malformed(source, &error))?;
    convert(source, raw)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 4 * MAX_NODES,
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        // Only `true` and `false` are booleans in YAML 1.2; `off` and `no` are text.
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn malformed(source: &SourceFile, error: &Error) -> Diagnostic {
    let error = error.without_snippet();
    let position = error.location().map_or(Position::START, |at| position_of(source, at));
    let at = |code, message: String| Diagnostic::at(code, source, position, message);
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            at(Code::DuplicateKey, format!("the key `{key}` is there twice"))
                .hint("keep one of the two")
        }
        Error::MultipleDocuments { .. } => {
            at(Code::Malformed, "a second document begins here".to_owned())
                .hint("one file holds one document; remove the `---`")
        }
        Error::NullIntoString { .. } => at(Code::Malformed, "a key has to be a text".to_owned()),
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            at(Code::Malformed, "an alias stands within what it refers to".to_owned())
        }
        Error::UnknownAnchor { .. } => {
            at(Code::Malformed, "this alias names an anchor that does not exist".to_owned())
                .hint("`*name` needs an `&name` above it; quote a text that begins with `*`")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            let limits = format!(
                "at most {MAX_NODES} values with aliases expanded, nested at most {MAX_DEPTH} deep"
            );
            at(Code::Malformed, format!("the file is too large: {limits}"))
        }
        Error::Unexpected { expected: "string scalar", .. } => {
            at(Code::Malformed, "a key has to be a text".to_owned())
                .maybe_hint(yaml_hint(source, position))
        }
        other => at(Code::Malformed, sentence(other)).maybe_hint(yaml_hint(source, position)),
    }
}

/// The library's message without its place, which is shown beside the source line anyway.
fn sentence(error: &Error) -> String {
    let text = error.render_with_formatter(&UserMessageFormatter);
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// What people usually meant on a line that YAML refuses.
fn yaml_hint(source: &SourceFile, position: Position) -> Option<String> {
    let line = source.line(position.line)?;
    let value = line.split_once(':').map(|(_, value)| value.trim_start());
    if value.is_some_and(|value| value.starts_with("{{")) {
        return Some("quote a value that begins with a template: \"{{ … }}\"".to_owned());
    }
    if line.trim_start_matches(' ').starts_with('\t') {
        return Some("YAML indents with spaces, not with tabs".to_owned());
    }
    value
        .is_some_and(|value| value.contains(": ") && !value.starts_with(['{', '[', '"', '\'']))
        .then(|| "quote a text that contains `: `".to_owned())
}

fn position_of(source: &SourceFile, location: Location) -> Position {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    let length = slice_of(source, location)
        .and_then(|text| text.lines().next())
        .map_or(1, |line| line.trim_end().chars().count());
    Position {
        line: narrow(location.line()),
        column: narrow(location.column()),
        length: narrow(length as u64),
    }
}

fn slice_of(source: &SourceFile, location: Location) -> Option<&str> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    source.text.get(start..start.checked_add(length)?)
}

fn convert(source: &SourceFile, raw: RawNode) -> Result<Node, Diagnostic> {
    let location = raw.0.defined;
    let mut position = position_of(source, location);
    let kind = match raw.0.value {
        RawKind::Null => NodeKind::Null,
        RawKind::Bool(value) => NodeKind::Bool(value),
        RawKind::Text(text) => NodeKind::Text(text),
        RawKind::Number(number) => {
            let text = slice_of(source, location).unwrap_or_default().trim();
            number_kind(text, number).ok_or_else(|| {
                let message = format!("the number {text} has more digits than can be kept");
                Diagnostic::at(Code::IllegalValue, source, position, message)
                    .hint("quote it, so that it stays a text")
            })?
        }
        RawKind::List(items) => {
            position.length = 1;
            let items = items.into_iter().map(|item| convert(source, item));
            NodeKind::List(items.collect::<Result<_, _>>()?)
        }
        RawKind::Map(entries) => {
            position.length = 1;
            let entries = entries.into_iter().map(|(key, value)| {
                Ok(Entry {
                    key_position: position_of(source, key.defined),
                    key: key.value,
                    value: convert(source, value)?,
                })
            });
            NodeKind::Map(entries.collect::<Result<_, Diagnostic>>()?)
        }
    };
    Ok(Node { kind, position })
}

/// A plain scalar that the library took for a number, by the core schema of YAML 1.2: `012` is
/// twelve and `1_000` a text. `None` if it is an integer that does not fit.
fn number_kind(text: &str, parsed: serde_json::Number) -> Option<NodeKind> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.contains('_') {
        return Some(NodeKind::Text(text.to_owned()));
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(NodeKind::Number(parsed, text.to_owned()));
    }
    let number = if text.starts_with('-') {
        text.parse::<i64>().ok()?.into()
    } else {
        digits.parse::<u64>().ok()?.into()
    };
    Some(NodeKind::Number(number, text.to_owned()))
}

/// What the library hands over: a value with its location.
struct RawNode(Spanned<RawKind>);

enum RawKind {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<RawNode>),
    Map(Vec<(Spanned<String>, RawNode)>),
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::<RawKind>::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawKind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<RawKind, E> {
        Ok(RawKind::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<RawKind, E> {
        Ok(RawKind::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<RawKind, E> {
        Ok(RawKind::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<RawKind, E> {
        Ok(RawKind::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<RawKind, E> {
        let text = || RawKind::Text(value.to_string());
        Ok(serde_json::Number::from_f64(value).map_or_else(text, RawKind::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<RawKind, E> {
        Ok(RawKind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawKind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawKind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawKind::Map(entries))
    }
}

#[cfg(test)]
mod tests;
