//! A TOML text in which every key and value knows its place, and the way from there to a typed
//! value: the text's syntax, then its shape against the type's JSON Schema, then serde.
//!
//! The schema that checks a file is the one that is published, so what an editor accepts is what
//! is accepted here.

mod nearest;
mod shape;

use std::ops::Range;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Mistake, Position};
pub(crate) use nearest::{did_you_mean, list_of, nearest};
pub(crate) use shape::EXPECTED;

/// Larger files are refused unread; real ones have a few KiB.
const MAX_BYTES: usize = 1 << 20;

/// A file's text and the name under which messages show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

/// A text that is TOML.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    source: Source<'a>,
    root: Spanned<DeValue<'a>>,
}

/// A part of a path to a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Document<'a> {
    /// Reads a text. All mistakes of syntax that can be told apart come back together.
    pub(crate) fn parse(name: &'a str, text: &'a str) -> Result<Self, Diagnostics> {
        let source = Source { name, text };
        if text.len() > MAX_BYTES {
            let message = format!(
                "the file has {} bytes, more than the {MAX_BYTES} that are read",
                text.len()
            );
            return Err(Diagnostics::new(vec![source.at(0..0, Mistake::Malformed, message)]));
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            let span = root.span();
            let root = Spanned::new(span, DeValue::Table(root.into_inner()));
            return Ok(Self { source, root });
        }
        let found = errors.into_iter().map(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("the file is not TOML: {}", error.message());
            source.at(span, Mistake::Malformed, message)
        });
        Err(Diagnostics::new(found.collect()))
    }

    /// The typed value, if the text has the shape that the type's schema says.
    pub(crate) fn read<T: DeserializeOwned>(&self, schema: &Value) -> Result<T, Diagnostics> {
        let mut checker = shape::Checker::new(self.source, schema);
        let json = checker.check(&self.root);
        let found = checker.into_found();
        if !found.is_empty() {
            return Err(Diagnostics::new(found));
        }
        serde_json::from_value(json).map_err(|error| {
            let message = format!("the file cannot be read: {error}");
            Diagnostics::new(vec![self.source.at(0..0, Mistake::IllegalValue, message)])
        })
    }

    /// Refuses a file of a newer version before its unknown keys are called mistakes.
    pub(crate) fn refuse_newer(&self, key: &str, known: i64) -> Result<(), Diagnostics> {
        let path = [Step::Key(key)];
        let Some(DeValue::Integer(number)) = self.find(&path).map(Spanned::get_ref) else {
            return Ok(());
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(version) if version > known => {
                let message =
                    format!("the file is of version {version}, this FlexCore reads {known}");
                let found = self.wrong(&path, Mistake::NewerVersion, message);
                Err(Diagnostics::new(vec![found.hint("use a newer FlexCore")]))
            }
            _ => Ok(()),
        }
    }

    /// A mistake at a value, or at the nearest part of its path that is there.
    pub(crate) fn wrong(
        &self,
        path: &[Step<'_>],
        mistake: Mistake,
        message: impl Into<String>,
    ) -> Diagnostic {
        let known = (0..=path.len()).rev().find_map(|length| self.find(path.get(..length)?));
        let span = known.map_or(0..0, Spanned::span);
        self.source.at(span, mistake, message)
    }

    fn find(&self, path: &[Step<'_>]) -> Option<&Spanned<DeValue<'a>>> {
        path.iter().try_fold(&self.root, |value, step| match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Index(index), DeValue::Array(items)) => items.get(*index),
            _ => None,
        })
    }
}

impl<'a> Source<'a> {
    /// A mistake at a range of bytes.
    pub(crate) fn at(
        self,
        span: Range<usize>,
        mistake: Mistake,
        message: impl Into<String>,
    ) -> Diagnostic {
        let (position, line) = self.locate(&span);
        Diagnostic {
            mistake,
            file: self.name.to_owned(),
            position,
            message: message.into(),
            hint: None,
            source_line: (!line.is_empty() && !holds_credentials(line)).then(|| line.to_owned()),
        }
    }

    /// The place of a range of bytes, and its first line.
    fn locate(self, span: &Range<usize>) -> (Position, &'a str) {
        let start = floor_boundary(self.text, span.start);
        let end = floor_boundary(self.text, span.end.max(start));
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let meant = self.text[start..end].lines().next().unwrap_or_default();
        let position = Position {
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
            length: count(meant.chars().count().max(1)),
        };
        (position, line)
    }
}

/// Whether a line may have an address with a password in it; such lines are never shown.
fn holds_credentials(line: &str) -> bool {
    line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// The JSON Schema (draft 2020-12) of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let text = "a = 1\nt = { b = 'é', c = 2 }\n";
        let document = Document::parse("x.toml", text).unwrap();
        let found = document.wrong(&[Step::Key("t"), Step::Key("c")], Mistake::WrongType, "no");
        assert_eq!(found.position, Position { line: 2, column: 20, length: 1 });
        let nearest = document.wrong(&[Step::Key("a"), Step::Key("z")], Mistake::WrongType, "no");
        assert_eq!(nearest.position, Position { line: 1, column: 5, length: 1 });
    }

    #[test]
    fn several_mistakes_of_syntax_come_back_together() {
        let error = Document::parse("x.toml", "a = \nb = 1\nb = 2\n").unwrap_err();
        let lines: Vec<_> = error.iter().map(|one| one.position.line).collect();
        assert_eq!(lines, [1, 3], "{error}");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        for text in [format!("a = {}", "[".repeat(100_000)), "a = { a = ".repeat(50_000)] {
            assert!(Document::parse("x.toml", &text).is_err());
        }
    }

    #[test]
    fn a_file_beyond_all_measure_is_refused() {
        let text = "#".repeat(MAX_BYTES + 1);
        assert!(Document::parse("x.toml", &text).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|[a-z=\\[\\]{}\"'\n#.0-9 -]{0,80}") {
            if let Err(found) = Document::parse("x.toml", &text) {
                prop_assert!(!found.to_string().is_empty());
            }
        }
    }
}
