//! Holds a tree against the schema of the language and says everything that is wrong, with places.
//!
//! The schemas come from the types in [`language`](crate::language), so this knows only the
//! keywords that they use. What comes out is the file as JSON in the form that those types read:
//! maps whose order matters as lists of pairs, environment maps with a marker for the host's
//! values, numbers as text where a text is meant.

mod choice;
mod scalar;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    diagnostic::{Code, Diagnostic},
    language::value::{ENVIRONMENT, FROM_HOST, NOT_SUPPORTED, ORDERED},
    nearest::{did_you_mean, nearest},
    source::{Position, SourceFile},
    tree::{Entry, Node, NodeKind},
};

/// The schema that everything satisfies.
static ANYTHING: Value = Value::Bool(true);

/// A file that was held against its schema.
#[derive(Debug)]
pub(crate) struct Shaped {
    /// The file as JSON, in the form that the types of the language read.
    pub(crate) value: Value,
    /// The line of every scalar and list, by its JSON pointer in `value`.
    pub(crate) lines: BTreeMap<String, u32>,
    /// Everything that is wrong with its shape, and what is not supported yet.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Holds a tree against a root schema. `whole` names what the file is, such as `a pipeline file`.
pub(crate) fn shape(source: &SourceFile, node: &Node, schema: &Value, whole: &str) -> Shaped {
    let mut checker =
        Checker { source, root: schema, lines: BTreeMap::new(), diagnostics: Vec::new() };
    let place = Place { name: whole, at: node.position, pointer: String::new() };
    let value = checker.walk(node, schema, &place);
    Shaped { value, lines: checker.lines, diagnostics: checker.diagnostics }
}

/// Where the walk is.
struct Place<'a> {
    /// What messages call it: the key in backticks, or what the file is.
    name: &'a str,
    /// Where something missing is reported: the key.
    at: Position,
    /// The JSON pointer of the value that is being made.
    pointer: String,
}

struct Checker<'a> {
    source: &'a SourceFile,
    root: &'a Value,
    lines: BTreeMap<String, u32>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn error(&mut self, code: Code, position: Position, message: String) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic::at(code, self.source, position, message));
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    fn walk(&mut self, node: &Node, schema: &'a Value, place: &Place<'_>) -> Value {
        if !matches!(node.kind, NodeKind::Map(_)) {
            self.lines.insert(place.pointer.clone(), node.position.line);
        }
        self.requirements(node, schema, place);
        if node.is_null() && allows_null(self.root, schema) {
            return Value::Null;
        }
        if schema.get(ENVIRONMENT).is_some() {
            return self.environment(node, place);
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            return match definition(self.root, target) {
                Some(target) => self.walk(node, target, place),
                None => node.to_json(),
            };
        }
        if let Some(alternatives) = alternatives(schema) {
            return self.choose(node, schema, alternatives, place);
        }
        match &node.kind {
            NodeKind::Map(entries) if admits(schema, "object") => self.map(entries, schema, place),
            NodeKind::List(items) if admits(schema, "array") => {
                self.list(node, items, schema, place)
            }
            _ => self.scalar(node, schema, place),
        }
    }

    fn map(&mut self, entries: &[Entry], schema: &'a Value, place: &Place<'_>) -> Value {
        let ordered = schema.get(ORDERED).is_some();
        let mut pairs = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let pointer = if ordered {
                format!("{}/{index}/1", place.pointer)
            } else {
                format!("{}/{}", place.pointer, escape(&entry.key))
            };
            let Some(property) = property(schema, &entry.key) else {
                self.unknown_key(entry, schema, place);
                continue;
            };
            if property.get(NOT_SUPPORTED).is_some() && !entry.value.is_null() {
                self.not_supported(entry);
            }
            let name = format!("`{}`", entry.key);
            let inner = Place { name: &name, at: entry.key_position, pointer };
            pairs.push((entry.key.clone(), self.walk(&entry.value, property, &inner)));
        }
        if ordered {
            pairs.into_iter().map(|(key, value)| Value::from(vec![key.into(), value])).collect()
        } else {
            Value::Object(pairs.into_iter().collect())
        }
    }

    fn list(&mut self, node: &Node, items: &[Node], schema: &'a Value, place: &Place<'_>) -> Value {
        let fewest = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < fewest {
            let message = format!("{} is empty; it needs at least {fewest} item", place.name);
            self.error(Code::IllegalValue, node.position, message);
        }
        let item_schema = schema.get("items").unwrap_or(&ANYTHING);
        let walked = items.iter().enumerate().map(|(index, item)| {
            let pointer = format!("{}/{index}", place.pointer);
            let name = match item.get("id").and_then(Node::as_text) {
                Some(id) if pointer.starts_with("/steps/") => format!("step `{id}`"),
                _ => format!("an item of {}", place.name),
            };
            self.walk(item, item_schema, &Place { name: &name, at: item.position, pointer })
        });
        walked.collect()
    }

    /// Environment variables: texts, and a marker where the host's value is meant.
    fn environment(&mut self, node: &Node, place: &Place<'_>) -> Value {
        let mut variables = Map::new();
        let from_host = || serde_json::json!({ FROM_HOST: true });
        let pairs: Vec<(String, Position, Option<&Node>)> = match &node.kind {
            NodeKind::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.key_position, Some(&entry.value)))
                .collect(),
            NodeKind::List(items) if items.iter().all(|item| item.as_text().is_some()) => items
                .iter()
                .map(|item| (item.as_text().unwrap_or_default().to_owned(), item.position, None))
                .collect(),
            _ => {
                let message = format!(
                    "{} takes a map of names to texts, or a list of names, not {}",
                    place.name,
                    node.describe()
                );
                self.error(Code::WrongType, node.position, message);
                return Value::Null;
            }
        };
        for (name, position, value) in pairs {
            if name.is_empty() || name.contains(['=', '\0']) {
                let message = format!("`{name}` cannot be the name of an environment variable");
                self.error(Code::IllegalValue, position, message);
            }
            let line = value.map_or(position.line, |value| value.position.line);
            self.lines.insert(format!("{}/{}", place.pointer, escape(&name)), line);
            let value = match value {
                Some(value) if !value.is_null() => self.environment_value(&name, value),
                _ => from_host(),
            };
            variables.insert(name, value);
        }
        Value::Object(variables)
    }

    fn environment_value(&mut self, name: &str, value: &Node) -> Value {
        if let Some(text) = value.scalar_text() {
            return Value::String(text);
        }
        let message = format!("`{name}` takes a text, not {}", value.describe());
        self.error(Code::WrongType, value.position, message).hint =
            Some("an environment variable holds one text; write a JSON text in quotes".to_owned());
        Value::Null
    }

    fn not_supported(&mut self, entry: &Entry) {
        let message = format!("`{}` is not supported yet", entry.key);
        self.error(Code::NotSupported, entry.key_position, message).hint =
            Some("it is part of the language, but this version cannot run it".to_owned());
    }

    fn unknown_key(&mut self, entry: &Entry, schema: &Value, place: &Place<'_>) {
        let known = schema.get("properties").and_then(Value::as_object);
        let known: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let message = format!("unknown key `{}` in {}", entry.key, place.name);
        self.error(Code::UnknownKey, entry.key_position, message).hint =
            did_you_mean(&entry.key, &known);
    }

    /// What must be there: `required`, and `oneOf` over single keys. Kind keys of steps have
    /// their own, better message elsewhere.
    fn requirements(&mut self, node: &Node, schema: &Value, place: &Place<'_>) {
        if !matches!(node.kind, NodeKind::Map(_)) {
            return;
        }
        let required = schema.get("required").and_then(Value::as_array);
        // A misspelt key was reported with the right spelling; it is not missing as well.
        let misspelt = |key: &str| {
            let entries = node.entries().iter().map(|entry| entry.key.as_str());
            entries
                .filter(|other| !knows(self.root, schema, other))
                .any(|other| nearest(other, &[key]).is_some())
        };
        let missing: Vec<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|key| node.get(key).is_none() && !misspelt(key))
            .collect();
        for key in missing {
            let message = format!("{} needs the key `{key}`", place.name);
            self.error(Code::MissingKey, place.at, message);
        }
        let Some(keys) = one_required_of(schema) else { return };
        let present: Vec<_> = keys.iter().filter(|key| node.get(key).is_some()).collect();
        if keys.len() > 2 || present.len() == 1 {
            return;
        }
        let either = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" or ");
        let message = format!("{} needs either {either}", place.name);
        let (code, message) = match present.len() {
            0 => (Code::MissingKey, message),
            _ => (Code::IllegalValue, format!("{message}, not both")),
        };
        self.error(code, place.at, message);
    }
}

/// A key as a part of a JSON pointer (RFC 6901).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The schema of a key: a property, a pattern property of ours (`x-`), or what other keys have.
fn property<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(property) = schema.get("properties").and_then(|known| known.get(key)) {
        return Some(property);
    }
    if key.starts_with("x-") && schema.get("patternProperties").is_some() {
        return Some(&ANYTHING);
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(other) => Some(other),
        None => Some(&ANYTHING),
    }
}

/// Whether a key has a place in a schema, or in one of its alternatives.
fn knows(root: &Value, schema: &Value, key: &str) -> bool {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return definition(root, target).is_none_or(|target| knows(root, target, key));
    }
    match alternatives(schema) {
        Some(alternatives) => alternatives.iter().any(|one| knows(root, one, key)),
        None => admits(schema, "object") && property(schema, key).is_some(),
    }
}

fn definition<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.get("$defs")?.get(reference.strip_prefix("#/$defs/")?)
}

/// The alternatives of a value; not a `oneOf` that only says which key must be there.
fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    if let Some(alternatives) = schema.get("anyOf").and_then(Value::as_array) {
        return Some(alternatives);
    }
    if one_required_of(schema).is_some() {
        return None;
    }
    schema.get("oneOf").and_then(Value::as_array)
}

/// The keys of a `oneOf` that says no more than that exactly one of them is there.
fn one_required_of(schema: &Value) -> Option<Vec<&str>> {
    let alternatives = schema.get("oneOf")?.as_array()?;
    alternatives.iter().map(only_required_key).collect()
}

fn only_required_key(alternative: &Value) -> Option<&str> {
    let required = alternative.get("required")?.as_array()?;
    match (alternative.as_object()?.len(), required.as_slice()) {
        (1, [only]) => only.as_str(),
        _ => None,
    }
}

/// Whether a schema admits a JSON type; one without `type` admits all.
fn admits(schema: &Value, json_type: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(only)) => only == json_type,
        Some(Value::Array(types)) => types.iter().any(|one| one == json_type),
        _ => schema.get("const").is_none() && schema.get("enum").is_none(),
    }
}

fn allows_null(root: &Value, schema: &Value) -> bool {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return definition(root, target).is_none_or(|target| allows_null(root, target));
    }
    match alternatives(schema) {
        Some(alternatives) => alternatives.iter().any(|one| allows_null(root, one)),
        None => admits(schema, "null"),
    }
}
