//! Values with alternatives: words, templates, short forms.

use serde_json::{Map, Value};

use super::{Checker, Place, admits, allows_null, definition};
use crate::{
    diagnostic::Code,
    language::value::TEMPLATE,
    nearest::{did_you_mean, list_of},
    tree::{Node, NodeKind},
};

impl<'a> Checker<'a> {
    pub(super) fn choose(
        &mut self,
        node: &Node,
        schema: &'a Value,
        alternatives: &'a [Value],
        place: &Place<'_>,
    ) -> Value {
        let flat = self.flatten(alternatives);
        let is_template = node.as_text().is_some_and(|text| text.contains("{{"));
        if is_template && flat.iter().any(|one| one.get(TEMPLATE).is_some()) {
            return node.to_json();
        }
        let words: Vec<&str> = flat.iter().filter_map(|one| one.get("const")?.as_str()).collect();
        let fitting: Vec<&'a Value> = flat
            .iter()
            .copied()
            .filter(|one| one.get(TEMPLATE).is_none() && fits(one, node))
            .collect();
        if let (Some(text), false) = (node.scalar_text(), words.is_empty())
            && fitting.iter().all(|one| one.get("const").is_some())
        {
            return self.word(node, &text, &words, place);
        }
        match fitting.as_slice() {
            [] => self.wrong_type(node, schema, place),
            [only] => self.walk(node, only, place),
            several if several.iter().all(|one| single_key(one).is_some()) => {
                self.tagged(node, several, place)
            }
            several => self.best(node, several, place),
        }
    }

    /// The alternatives with nested ones and references resolved, `null` left out.
    fn flatten(&self, alternatives: &'a [Value]) -> Vec<&'a Value> {
        let mut flat = Vec::new();
        for alternative in alternatives {
            let resolved = alternative
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| definition(self.root, target))
                .unwrap_or(alternative);
            let marked = resolved.get(crate::language::value::ENVIRONMENT).is_some();
            match super::alternatives(resolved) {
                Some(inner) if !marked => flat.extend(self.flatten(inner)),
                _ if resolved.get("type") == Some(&Value::from("null")) => {}
                _ => flat.push(resolved),
            }
        }
        flat
    }

    /// One of a closed set of words.
    fn word(&mut self, node: &Node, text: &str, words: &[&str], place: &Place<'_>) -> Value {
        if !words.contains(&text) {
            let message = format!("{} takes {}, not `{text}`", place.name, list_of(words, "or"));
            self.error(Code::IllegalValue, node.position, message).hint =
                did_you_mean(text, words).filter(|hint| hint.starts_with("did"));
        }
        Value::String(text.to_owned())
    }

    /// A map with exactly one of several keys.
    fn tagged(&mut self, node: &Node, several: &[&'a Value], place: &Place<'_>) -> Value {
        let keys: Vec<&str> = several.iter().filter_map(|one| single_key(one)).collect();
        let chosen = match node.entries() {
            [only] => several.iter().find(|one| single_key(one) == Some(&only.key)),
            _ => None,
        };
        if let Some(chosen) = chosen {
            return self.walk(node, chosen, place);
        }
        let message = format!("{} takes exactly one of {}", place.name, list_of(&keys, "or"));
        let unknown = node.entries().iter().find(|entry| !keys.contains(&entry.key.as_str()));
        match unknown {
            Some(entry) => {
                let message = format!("unknown key `{}`; {message}", entry.key);
                self.error(Code::UnknownKey, entry.key_position, message);
            }
            None => {
                self.error(Code::IllegalValue, node.position, message);
            }
        }
        Value::Null
    }

    /// The alternative with the fewest mistakes.
    fn best(&mut self, node: &Node, several: &[&'a Value], place: &Place<'_>) -> Value {
        let before = std::mem::take(&mut self.diagnostics);
        let mut best: Option<(Value, Vec<_>)> = None;
        for alternative in several {
            let value = self.walk(node, alternative, place);
            let found = std::mem::take(&mut self.diagnostics);
            if best.as_ref().is_none_or(|(_, fewest)| found.len() < fewest.len()) {
                best = Some((value, found));
            }
        }
        self.diagnostics = before;
        let (value, found) = best.unwrap_or_default();
        self.diagnostics.extend(found);
        value
    }

    pub(super) fn wrong_type(&mut self, node: &Node, schema: &Value, place: &Place<'_>) -> Value {
        let expected = self.expected(schema);
        if node.is_null() {
            let message = format!("{} needs a value: {expected}", place.name);
            self.error(Code::MissingKey, place.at, message);
            return Value::Null;
        }
        let message = format!("{} takes {expected}, not {}", place.name, node.describe());
        let quotable = matches!(node.kind, NodeKind::Number(..) | NodeKind::Bool(_));
        let wants_text = expected.starts_with("a text");
        self.error(Code::WrongType, node.position, message).hint = (quotable && wants_text)
            .then(|| format!("write it in quotes: \"{}\"", node.scalar_text().unwrap_or_default()));
        Value::Null
    }

    /// What a schema wants, for messages.
    pub(super) fn expected(&self, schema: &Value) -> String {
        if let Some(phrase) = schema.get(crate::language::value::EXPECTED).and_then(Value::as_str) {
            return phrase.to_owned();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = definition(self.root, target);
            return target.map_or_else(|| "a value".to_owned(), |target| self.expected(target));
        }
        if let Some(alternatives) = super::alternatives(schema) {
            return self.expected_one_of(alternatives);
        }
        let names = ["string", "integer", "number", "boolean", "array", "object"];
        let phrases =
            ["a text", "a whole number", "a number", "`true` or `false`", "a list", "a map"];
        let wanted: Vec<&str> = names
            .iter()
            .zip(phrases)
            .filter(|(name, _)| admits(schema, name))
            .map(|(_, phrase)| phrase)
            .collect();
        match wanted.as_slice() {
            [] | [_, _, _, _, _, _] => "a value".to_owned(),
            some => some.join(" or "),
        }
    }

    fn expected_one_of(&self, alternatives: &[Value]) -> String {
        let words: Vec<&str> =
            alternatives.iter().filter_map(|one| one.get("const")?.as_str()).collect();
        let mut phrases = Vec::new();
        if !words.is_empty() {
            phrases.push(list_of(&words, "or"));
        }
        for one in alternatives {
            let only_null = one.get("type") == Some(&Value::from("null"));
            if only_null || one.get("const").is_some() || one.get(TEMPLATE).is_some() {
                continue;
            }
            let phrase = self.expected(one);
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        }
        phrases.join(" or ")
    }
}

/// Whether a value of the node's type can be meant by an alternative.
fn fits(alternative: &Value, node: &Node) -> bool {
    if alternative.get(crate::language::value::ENVIRONMENT).is_some() {
        return true;
    }
    match &node.kind {
        NodeKind::Null => allows_null(&Value::Null, alternative),
        NodeKind::Bool(_) => admits(alternative, "boolean"),
        NodeKind::Number(..) => admits(alternative, "number") || admits(alternative, "integer"),
        NodeKind::Text(_) => admits(alternative, "string"),
        NodeKind::List(_) => admits(alternative, "array"),
        NodeKind::Map(_) => admits(alternative, "object"),
    }
}

/// The only key of a map that has exactly one.
fn single_key(schema: &Value) -> Option<&str> {
    let properties: &Map<_, _> = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (properties.len(), required.as_slice()) {
        (1, [only]) => only.as_str(),
        _ => None,
    }
}
