//! Holds a TOML tree against the JSON Schema of a type and says everything that is wrong.
//!
//! It knows only the keywords that our types use, and gives the tree as JSON for serde.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Source, did_you_mean, holds_credentials, list_of, nearest};
use crate::diagnostic::{Diagnostic, Mistake};

/// What a value looks like, for messages.
pub(crate) const EXPECTED: &str = "x-expected";
/// How deep tables and lists may nest; our types need four.
const MAX_DEPTH: usize = 16;

pub(super) struct Checker<'a> {
    source: Source<'a>,
    root: &'a Value,
    found: Vec<Diagnostic>,
}

/// Where the walk is.
#[derive(Clone)]
struct Place {
    /// What messages call it.
    name: String,
    /// Where something missing is reported.
    at: Range<usize>,
    depth: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(source: Source<'a>, root: &'a Value) -> Self {
        Self { source, root, found: Vec::new() }
    }

    /// The value as JSON; only of use if nothing was found.
    pub(super) fn check(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        let place = Place { name: "the file".to_owned(), at: 0..0, depth: 0 };
        self.walk(value, self.root, &place)
    }

    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }

    fn wrong(
        &mut self,
        span: Range<usize>,
        mistake: Mistake,
        message: String,
        hint: Option<String>,
    ) {
        self.found.push(self.source.at(span, mistake, message).maybe_hint(hint));
    }

    fn walk(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value, place: &Place) -> Value {
        let schema = resolve(self.root, schema);
        match value.get_ref() {
            _ if place.depth > MAX_DEPTH => {
                let message = format!("{} nests too deeply", place.name);
                self.wrong(value.span(), Mistake::WrongType, message, None);
                Value::Null
            }
            DeValue::Table(table) if admits(schema, "object") => self.table(table, schema, place),
            DeValue::Array(items) if admits(schema, "array") => {
                self.list(value.span(), items, schema, place)
            }
            _ => self.scalar(value, schema, place),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, schema: &'a Value, place: &Place) -> Value {
        let mut members = Map::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let Some(property) = property(schema, name) else {
                self.unknown(key.span(), name, schema, place);
                continue;
            };
            let inner = Place { name: format!("`{name}`"), at: key.span(), depth: place.depth + 1 };
            members.insert(name.to_owned(), self.walk(value, property, &inner));
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(name) {
                let expected = property(schema, name).and_then(|one| expected(self.root, one));
                let message = format!("{} has no `{name}`", place.name);
                let hint = expected.map(|what| format!("`{name}` is {what}"));
                self.wrong(place.at.clone(), Mistake::MissingKey, message, hint);
            }
        }
        Value::Object(members)
    }

    fn unknown(&mut self, span: Range<usize>, name: &str, schema: &Value, place: &Place) {
        let known: Vec<&str> = schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let message = format!("{} has no key `{}`", place.name, shortened(name));
        self.wrong(span, Mistake::UnknownKey, message, did_you_mean(name, &known));
    }

    fn list(
        &mut self,
        span: Range<usize>,
        items: &DeArray<'_>,
        schema: &'a Value,
        place: &Place,
    ) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            let message = format!("{} has {} items, it needs {least}", place.name, items.len());
            self.wrong(span, Mistake::IllegalValue, message, None);
        }
        let item = schema.get("items").unwrap_or(&Value::Null);
        let inner = Place {
            name: format!("an item of {}", place.name),
            depth: place.depth + 1,
            ..place.clone()
        };
        items.iter().map(|value| self.walk(value, item, &inner)).collect()
    }

    fn scalar(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value, place: &Place) -> Value {
        let (kind, json) = match value.get_ref() {
            DeValue::String(text) => ("string", Value::from(text.as_ref())),
            DeValue::Boolean(flag) => ("boolean", Value::from(*flag)),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix());
                ("integer", number.map_or(Value::Null, Value::from))
            }
            DeValue::Float(number) => {
                ("number", number.as_str().parse::<f64>().map_or(Value::Null, Value::from))
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => ("", Value::Null),
        };
        let of_type = admits(schema, kind) || (kind == "integer" && admits(schema, "number"));
        if json.is_null() || !of_type {
            let wanted = expected(self.root, schema).unwrap_or_else(|| "something else".to_owned());
            let message =
                format!("{} must be {wanted}, not {}", place.name, describe(value.get_ref()));
            self.wrong(value.span(), Mistake::WrongType, message, None);
        } else if let Some((message, hint)) = illegal(&json, schema) {
            let message = format!("{} {message}", place.name);
            self.wrong(value.span(), Mistake::IllegalValue, message, hint);
        }
        json
    }
}

/// What is wrong with a scalar of the right type, and a hint.
fn illegal(value: &Value, schema: &Value) -> Option<(String, Option<String>)> {
    let words = words(schema);
    if let (Some(text), false) = (value.as_str(), words.is_empty())
        && !words.contains(&text)
    {
        let hint = nearest(text, &words).map(|near| format!("did you mean `{near}`?"));
        let message = format!("is {}, not `{}`", list_of(&words, "or"), shortened(text));
        return Some((message, hint));
    }
    let number = value.as_f64()?;
    // What serde would refuse without a place, because the type is no larger.
    let widest = (schema.get("format").and_then(Value::as_str) == Some("uint32"))
        .then_some(f64::from(u32::MAX));
    let bound = |keyword| {
        let stated = schema.get(keyword).and_then(Value::as_f64);
        if keyword == "maximum" { stated.or(widest) } else { stated }
    };
    let under = bound("minimum").is_some_and(|least| number < least);
    let over = bound("maximum").is_some_and(|most| number > most);
    (over || under).then(|| {
        if let Some(phrase) = schema.get(EXPECTED).and_then(Value::as_str) {
            return (format!("must be {phrase}, not the number {number}"), None);
        }
        let most = bound("maximum").map(|most| format!(" and at most {most}")).unwrap_or_default();
        let least = bound("minimum").unwrap_or_default();
        (format!("is {number}, it must be at least {least}{most}"), None)
    })
}

/// Follows references, and goes to what an optional value is when it is there.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = target.strip_prefix('#').unwrap_or(target);
        return root.pointer(pointer).map_or(schema, |schema| resolve(root, schema));
    }
    let present = schema.get("anyOf").and_then(Value::as_array).and_then(|alternatives| {
        alternatives.iter().find(|one| one.get("type").and_then(Value::as_str) != Some("null"))
    });
    present.map_or(schema, |schema| resolve(root, schema))
}

fn property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema.get("properties").and_then(|properties| properties.get(name))
}

/// Whether values of a type are among those of a schema.
fn admits(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => kind == "string" && !words(schema).is_empty(),
    }
}

/// The texts of an enumeration.
fn words(schema: &Value) -> Vec<&str> {
    let plain = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let described = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let described = described.flat_map(|one| {
        let several = one.get("enum").and_then(Value::as_array).into_iter().flatten();
        one.get("const").into_iter().chain(several)
    });
    plain.chain(described).filter_map(Value::as_str).collect()
}

/// What a value of a schema looks like.
fn expected(root: &Value, schema: &Value) -> Option<String> {
    let schema = resolve(root, schema);
    if let Some(phrase) = schema.get(EXPECTED).and_then(Value::as_str) {
        return Some(phrase.to_owned());
    }
    let words = words(schema);
    if !words.is_empty() {
        return Some(list_of(&words, "or"));
    }
    let kinds = [
        ("object", "a table"),
        ("array", "a list"),
        ("string", "a text"),
        ("boolean", "`true` or `false`"),
        ("number", "a number"),
        ("integer", "a whole number"),
    ];
    kinds.iter().find(|(kind, _)| admits(schema, kind)).map(|(_, words)| (*words).to_owned())
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", shortened(text)),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The start of a text, without what would break the line of a message or give a password away.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    if holds_credentials(text) {
        return "…".to_owned();
    }
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let start: String = clean.take(SHOWN).collect();
    if text.chars().count() > SHOWN { format!("{start}…") } else { start }
}
