//! The fields of a request, and putting a request together from path, query and body.

use std::collections::BTreeMap;

use schemars::{JsonSchema, schema_for};
use serde_json::{Value, value::RawValue};

use crate::problem::{Fault, Problem};

/// The fields of a request that text can name: its own, and those one level below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    leaves: BTreeMap<String, Leaf>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) kind: Kind,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

/// How the text of a parameter is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Text,
    /// As a list, once for each time that the parameter is there.
    Texts,
    /// As JSON: a number, `true` or `false`.
    Json,
}

/// A request while it is put together: raw JSON by name, so that numbers keep their digits.
type Parts = BTreeMap<String, Box<RawValue>>;

impl Fields {
    /// The fields of a type, as its schema has them.
    pub(crate) fn of<T: JsonSchema>() -> Self {
        let schema = schema_for!(T).to_value();
        let mut leaves = BTreeMap::new();
        for (name, part, required) in properties(&schema) {
            let part = resolve(&schema, part);
            let inner: Vec<_> = properties(part).collect();
            if inner.is_empty() {
                leaves.insert(name.to_owned(), Leaf::new(part, required));
            }
            for (below, schema_of_below, required_below) in inner {
                let leaf = Leaf::new(resolve(&schema, schema_of_below), required && required_below);
                leaves.insert(format!("{name}.{below}"), leaf);
            }
        }
        Self { leaves }
    }

    /// The full name and the leaf of what a parameter names: a field, or the one field below
    /// another that ends like this.
    pub(crate) fn find(&self, name: &str) -> Option<(&str, &Leaf)> {
        if let Some((name, leaf)) = self.leaves.get_key_value(name) {
            return Some((name, leaf));
        }
        let is_end = |full: &str| full.split_once('.').is_some_and(|(_, end)| end == name);
        let mut found = self.leaves.iter().filter(|(full, _)| is_end(full));
        match (found.next(), found.next()) {
            (Some((full, leaf)), None) => Some((full, leaf)),
            _ => None,
        }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Leaf)> {
        self.leaves.iter().map(|(name, leaf)| (&**name, leaf))
    }

    /// A request as JSON text.
    ///
    /// # Errors
    /// A parameter that does not exist, is there twice or has the wrong form, or a body that is no
    /// object.
    pub(crate) fn assemble(
        &self,
        path: &[(String, String)],
        query: &[(String, String)],
        body: &[u8],
    ) -> Result<String, Problem> {
        let mut parts = if body.is_empty() { Parts::new() } else { object(body)? };
        for (name, value) in path {
            put(&mut parts, name, quoted(value)?)?;
        }
        let mut lists: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in query {
            let Some((full, leaf)) = self.find(name) else { return Err(self.unknown(name)) };
            match leaf.kind {
                Kind::Text => put(&mut parts, full, quoted(value)?)?,
                Kind::Json => put(&mut parts, full, literal(name, value)?)?,
                Kind::Texts => lists.entry(full).or_default().push(value),
            }
        }
        for (name, values) in lists {
            put(&mut parts, name, raw(&values)?)?;
        }
        serde_json::to_string(&parts).map_err(|error| Fault::Internal.because(error.to_string()))
    }

    fn unknown(&self, name: &str) -> Problem {
        let known: Vec<&str> =
            self.leaves.keys().map(|full| full.rsplit('.').next().unwrap_or(full)).collect();
        let problem = Fault::Malformed.because(format!("there is no parameter `{name}` here"));
        match known.is_empty() {
            true => problem.hint("this request takes none"),
            false => problem.hint(format!("known are: {}", known.join(", "))),
        }
    }
}

impl Leaf {
    fn new(schema: &Value, required: bool) -> Self {
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let kind = if types.contains(&"array") {
            Kind::Texts
        } else if types.iter().any(|name| matches!(*name, "integer" | "number" | "boolean")) {
            Kind::Json
        } else {
            Kind::Text
        };
        Self { kind, schema: schema.clone(), required }
    }
}

/// The properties of an object schema: name, schema, whether it must be there.
fn properties(schema: &Value) -> impl Iterator<Item = (&str, &Value, bool)> {
    let required = schema["required"].as_array();
    let all = schema["properties"].as_object().into_iter().flatten();
    all.map(move |(name, part)| {
        let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
        (&**name, part, is_required)
    })
}

/// What a reference refers to.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(name) = schema["$ref"].as_str() else { return schema };
    name.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn object(body: &[u8]) -> Result<Parts, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::Malformed.because(format!("the body is not a JSON object: {error}"))
    })
}

fn raw<T: serde::Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Fault::Malformed.because(error.to_string()))
}

fn quoted(text: &str) -> Result<Box<RawValue>, Problem> {
    raw(text)
}

fn literal(name: &str, text: &str) -> Result<Box<RawValue>, Problem> {
    let wrong = || Fault::Malformed.because(format!("`{text}` is not a value for `{name}`"));
    match serde_json::from_str(text).map_err(|_| wrong())? {
        Value::Number(_) | Value::Bool(_) => {
            RawValue::from_string(text.trim().to_owned()).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// Puts a value where `name` says. What is there already must be the same.
fn put(parts: &mut Parts, name: &str, value: Box<RawValue>) -> Result<(), Problem> {
    let Some((outer, inner)) = name.split_once('.') else {
        return put_here(parts, name, value);
    };
    let mut below = match parts.get(outer) {
        Some(present) => object(present.get().as_bytes()).map_err(|_| {
            Fault::Malformed.because(format!("`{outer}` in the body is not an object"))
        })?,
        None => Parts::new(),
    };
    put_here(&mut below, inner, value)?;
    parts.insert(outer.to_owned(), raw(&below)?);
    Ok(())
}

fn put_here(parts: &mut Parts, name: &str, value: Box<RawValue>) -> Result<(), Problem> {
    match parts.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(present) if same(&present, &parts[name]) => Ok(()),
        Some(_) => {
            let text = format!("`{name}` is given twice, and not the same");
            Err(Fault::Malformed.because(text))
        }
    }
}

fn same(one: &RawValue, other: &RawValue) -> bool {
    let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    one.get() == other.get() || read(one) == read(other)
}

#[cfg(test)]
mod tests {
    use flexcore_api::{ExecutePipeline, ListExecutions, ReadEvents, SetBookmark, UpdatePipeline};

    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn detail(result: Result<String, Problem>) -> String {
        result.unwrap_err().body.message
    }

    #[test]
    fn text_becomes_what_the_field_is() {
        let query = pairs(&[("limit", "5"), ("statuses", "failed"), ("statuses", "5")]);
        let text = Fields::of::<ListExecutions>().assemble(&[], &query, b"").unwrap();
        let request: ListExecutions = serde_json::from_str(&text).unwrap();
        assert_eq!((request.limit, request.statuses), (5, vec!["failed".into(), "5".into()]));
    }

    #[test]
    fn what_is_not_there_or_not_a_number_is_named() {
        let fields = Fields::of::<ReadEvents>();
        let unknown = fields.assemble(&[], &pairs(&[("limits", "5")]), b"").unwrap_err();
        assert!(unknown.body.message.contains("`limits`"));
        assert!(unknown.body.hint.unwrap().contains("limit"));
        for wrong in ["", "five", "\"5\"", "[5]", "null"] {
            let text = detail(fields.assemble(&[], &pairs(&[("limit", wrong)]), b""));
            assert!(text.contains("`limit`"), "{text}");
        }
    }

    #[test]
    fn a_path_reaches_a_field_below_another_and_digits_are_kept() {
        let path = pairs(&[("bookmark.pipeline", "p"), ("bookmark.state", "s")]);
        let body = br#"{"state": {"n": 12345678901234567890123.50}}"#;
        let text = Fields::of::<SetBookmark>().assemble(&path, &[], body).unwrap();
        let request: SetBookmark = serde_json::from_str(&text).unwrap();
        assert_eq!(request.bookmark.pipeline, "p");
        assert_eq!(request.bookmark.environment, "default");
        assert_eq!(request.state.get(), r#"{"n": 12345678901234567890123.50}"#);
    }

    #[test]
    fn path_and_body_must_not_contradict_each_other() {
        let path = pairs(&[("pipeline", "a")]);
        let fields = Fields::of::<ExecutePipeline>();
        assert!(fields.assemble(&path, &[], br#"{"pipeline": "a"}"#).is_ok());
        let text = detail(fields.assemble(&path, &[], br#"{"pipeline": "b"}"#));
        assert!(text.contains("`pipeline`"), "{text}");

        let path = pairs(&[("document.pipeline", "a")]);
        let fields = Fields::of::<UpdatePipeline>();
        assert!(fields.assemble(&path, &[], br#"{"document": {"pipeline": "a"}}"#).is_ok());
        assert!(fields.assemble(&path, &[], br#"{"document": {"pipeline": "b"}}"#).is_err());
        assert!(fields.assemble(&path, &[], br#"{"document": 7}"#).is_err());
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        let fields = Fields::of::<ExecutePipeline>();
        for body in [&b"[]"[..], b"7", b"{", b"\xff", b"{} {}"] {
            assert!(fields.assemble(&[], &[], body).is_err());
        }
    }
}
