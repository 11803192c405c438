//! The file of settings: TOML, of which every key knows its line.

use std::path::Path;

use flexcore_cli::HostError;
use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::refused;

/// How much a name may differ from the one that was meant.
const TYPOS: usize = 3;

/// A setting in a file.
pub(super) struct Found {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) line: usize,
}

/// The settings in a text, each of which is known.
pub(super) fn read(
    path: &Path,
    text: &str,
    is_known: &dyn Fn(&str) -> bool,
    known: &[&str],
) -> Result<Vec<Found>, HostError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = line(text, error.span().map_or(0, |span| span.start));
        let message = format!("{}:{at}: this is not TOML: {}", path.display(), error.message());
        refused("FC0773", message, None)
    })?;
    let mut reading = Reading { path, text, is_known, known, found: vec![] };
    reading.table(table.get_ref(), "")?;
    Ok(reading.found)
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    is_known: &'a dyn Fn(&str) -> bool,
    known: &'a [&'a str],
    found: Vec<Found>,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>, prefix: &str) -> Result<(), HostError> {
        for (name, value) in table {
            let line = line(self.text, name.span().start);
            let name = name.get_ref();
            let key = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
            if (self.is_known)(&key) {
                self.found.push(Found { key, value: json(value), line });
            } else if self.is_section(&key) {
                let DeValue::Table(below) = value.get_ref() else {
                    let message = format!(
                        "{}:{line}: `{key}` is a section, written `[{key}]`",
                        self.path.display()
                    );
                    return Err(refused("FC0772", message, None));
                };
                self.table(below, &key)?;
            } else {
                return Err(self.unknown(&key, line));
            }
        }
        Ok(())
    }

    fn is_section(&self, key: &str) -> bool {
        self.known.iter().any(|known| known.strip_prefix(key).is_some_and(|r| r.starts_with('.')))
    }

    fn unknown(&self, key: &str, line: usize) -> HostError {
        let message = format!("{}:{line}: there is no setting `{key}`", self.path.display());
        let sections = self.known.iter().filter_map(|known| Some(known.rsplit_once('.')?.0));
        let names: Vec<&str> = self.known.iter().copied().chain(sections).collect();
        let hint = match nearest(key, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/configuration.md has every setting".to_owned(),
        };
        refused("FC0770", message, Some(hint))
    }
}

/// The known name that was most likely meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &&'a str| strsim::damerau_levenshtein(name, other);
    let near = known.iter().copied().min_by_key(distance)?;
    (distance(&near) <= TYPOS).then_some(near)
}

/// The line of a byte, from 1.
fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    before.split(|byte| *byte == b'\n').count()
}

fn json(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            read.map_or_else(|_| Value::String(number.as_str().to_owned()), Value::from)
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse().ok().and_then(Number::from_f64);
            read.map_or_else(|| Value::String(number.as_str().to_owned()), Value::Number)
        }
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(json).collect()),
        DeValue::Table(table) => {
            let pair = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                (name.to_string(), json(value))
            };
            Value::Object(table.iter().map(pair).collect::<Map<_, _>>())
        }
    }
}
