//! Texts, numbers and booleans.

use serde_json::Value;

use super::{Checker, Place, admits};
use crate::{
    diagnostic::Code,
    language::value::{EXPECTED, SCALAR_AS_TEXT},
    nearest::list_of,
    tree::{Node, NodeKind},
    units::{parse_duration, parse_size},
};

impl<'a> Checker<'a> {
    pub(super) fn scalar(&mut self, node: &Node, schema: &'a Value, place: &Place<'_>) -> Value {
        if schema.is_boolean() {
            return node.to_json();
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return self.only_word(node, word, place);
        }
        if schema.get(SCALAR_AS_TEXT).is_some()
            && let Some(text) = node.scalar_text()
        {
            return Value::String(text);
        }
        match &node.kind {
            NodeKind::Null if admits(schema, "null") => Value::Null,
            NodeKind::Bool(value) if admits(schema, "boolean") => Value::Bool(*value),
            NodeKind::Text(text) if admits(schema, "string") => {
                self.text(node, text, schema, place)
            }
            NodeKind::Number(number, _) if admits(schema, "number") => {
                self.range(node, number, schema, place);
                Value::Number(number.clone())
            }
            NodeKind::Number(number, _) if admits(schema, "integer") && !number.is_f64() => {
                self.range(node, number, schema, place);
                Value::Number(number.clone())
            }
            NodeKind::List(_)
            | NodeKind::Map(_)
            | NodeKind::Null
            | NodeKind::Bool(_)
            | NodeKind::Text(_)
            | NodeKind::Number(..) => self.wrong_type(node, schema, place),
        }
    }

    fn only_word(&mut self, node: &Node, word: &str, place: &Place<'_>) -> Value {
        if node.as_text() != Some(word) {
            let message =
                format!("{} takes {}, not {}", place.name, list_of(&[word], "or"), node.describe());
            self.error(Code::IllegalValue, node.position, message);
        }
        Value::from(word)
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Value, place: &Place<'_>) -> Value {
        let legal = match schema.get("format").and_then(Value::as_str) {
            Some("flexcore-duration") => parse_duration(text).is_some(),
            Some("flexcore-size") => parse_size(text).is_some(),
            Some("flexcore-id") => is_name(text, false),
            Some("flexcore-name") => is_name(text, true),
            _ => true,
        };
        if !legal {
            let expected = schema.get(EXPECTED).and_then(Value::as_str).unwrap_or("another text");
            let message = format!("{} takes {expected}, not {}", place.name, node.describe());
            self.error(Code::IllegalValue, node.position, message);
        }
        Value::String(text.to_owned())
    }

    fn range(
        &mut self,
        node: &Node,
        number: &serde_json::Number,
        schema: &Value,
        place: &Place<'_>,
    ) {
        let (lowest, highest) = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => (0.0, f64::from(u32::MAX)),
            Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
            Some("uint64") => (0.0, f64::MAX),
            _ => (f64::MIN, f64::MAX),
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let lowest = bound("minimum").unwrap_or(lowest).max(lowest);
        let highest = bound("maximum").unwrap_or(highest).min(highest);
        let value = number.as_f64().unwrap_or(f64::NAN);
        if !(lowest..=highest).contains(&value) {
            let limits = match (lowest > f64::MIN, highest < f64::MAX) {
                (true, true) => format!("from {lowest} to {highest}"),
                (true, false) => format!("of at least {lowest}"),
                _ => format!("of at most {highest}"),
            };
            let message = format!("{} takes a number {limits}, not {number}", place.name);
            self.error(Code::IllegalValue, node.position, message);
        }
    }
}

/// Whether a text is an id (`[a-z][a-z0-9_]{0,62}`) or a name, which may also have hyphens.
pub(super) fn is_name(text: &str, hyphens: bool) -> bool {
    if hyphens {
        text.parse::<flexcore_domain::PipelineName>().is_ok()
    } else {
        text.parse::<flexcore_domain::StepId>().is_ok()
    }
}
