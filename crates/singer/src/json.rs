//! A JSON tree that keeps what `serde_json::Value` loses: order of members and text of numbers.

use std::fmt;

use crate::{
    scan::{JsonError, JsonProblem, Scanner},
    text::{unquote, write_string},
};

/// A tree deeper than this is refused: building it recurses.
const MAX_DEPTH: usize = 128;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object in their order. Equality disregards the order.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<(String, Json)>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Object {}

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.members.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of a member, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.members.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Sets a member, at its place if it exists, else at the end.
    pub fn insert(&mut self, key: impl Into<String>, value: Json) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(place) => *place = value,
            None => self.members.push((key, value)),
        }
    }

    /// Removes a member and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let index = self.members.iter().position(|(known, _)| known == key)?;
        Some(self.members.remove(index).1)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Keys and values in order, the values to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Json)> {
        self.members.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// Keys in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member as an object, made empty if it is missing or something else.
    pub(crate) fn object_entry(&mut self, key: &str) -> &mut Object {
        if !matches!(self.get(key), Some(Json::Object(_))) {
            self.insert(key, Json::Object(Object::new()));
        }
        match self.get_mut(key) {
            Some(Json::Object(object)) => object,
            _ => unreachable!("the member was made an object just above"),
        }
    }
}

impl<K: Into<String>> FromIterator<(K, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(members: I) -> Self {
        let mut object = Self::new();
        members.into_iter().for_each(|(key, value)| object.insert(key, value));
        object
    }
}

impl Json {
    /// Parses a JSON text strictly; the first of two equal keys counts.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut builder = Builder { text, scanner: Scanner::strict(text.as_bytes()) };
        builder.scanner.space();
        let value = builder.value(0)?;
        builder.scanner.end()?;
        Ok(value)
    }

    /// Parses a JSON text that must be an object.
    pub fn parse_object(text: &str) -> Result<Object, JsonError> {
        match Self::parse(text)? {
            Self::Object(object) => Ok(object),
            _ => Err(JsonError { offset: 0, problem: JsonProblem::NotAnObject }),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The object to change, if it is one.
    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The member of an object; `None` if this is no object or has no such member.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }

    /// Appends the compact text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::String(text) => write_string(out, text),
            Self::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    separate(out, index);
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Object(object) => {
                out.push(b'{');
                for (index, (key, value)) in object.iter().enumerate() {
                    separate(out, index);
                    write_string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The same value for `serde_json`; numbers become what it can hold.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(&self.to_string()).unwrap_or_default()
    }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// The compact text.
impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        formatter.write_str(&String::from_utf8_lossy(&out))
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.to_string()),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(
                members.iter().map(|(key, value)| (key.as_str(), Self::from(value))).collect(),
            ),
        }
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

struct Builder<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
}

impl Builder<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        let start = self.scanner.at;
        match self.scanner.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                Err(JsonError { offset: start, problem: JsonProblem::TooDeep })
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            _ => {
                self.scanner.value()?;
                Ok(match &self.text[start..self.scanner.at] {
                    "null" => Json::Null,
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    number => Json::Number(number.to_owned()),
                })
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.scanner.at;
        self.scanner.string()?;
        unquote(&self.text[start..self.scanner.at])
            .map(std::borrow::Cow::into_owned)
            .ok_or(JsonError { offset: start, problem: JsonProblem::BadEscape })
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut object = Object::new();
        let mut another = self.scanner.enter_object()?;
        while another {
            let key = self.string()?;
            self.scanner.colon()?;
            let value = self.value(depth + 1)?;
            if object.get(&key).is_none() {
                object.members.push((key, value));
            }
            another = self.scanner.next_member()?;
        }
        Ok(Json::Object(object))
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        let mut elements = Vec::new();
        self.scanner.eat(b'[');
        self.scanner.space();
        if self.scanner.eat(b']') {
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.scanner.space();
            if self.scanner.eat(b']') {
                return Ok(Json::Array(elements));
            }
            if !self.scanner.eat(b',') {
                let problem = match self.scanner.peek() {
                    Some(byte) => JsonProblem::UnexpectedByte(byte),
                    None => JsonProblem::UnexpectedEnd,
                };
                return Err(JsonError { offset: self.scanner.at, problem });
            }
            self.scanner.space();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_number_text_survive() {
        let text = r#"{"z":1.50,"a":[1e400,-0,{"é\n":null}],"m":true}"#;
        assert_eq!(Json::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn equality_disregards_the_order_of_members() {
        assert_eq!(Json::parse(r#"{"a":1,"b":2}"#), Json::parse(r#"{"b":2,"a":1}"#));
        assert_ne!(Json::parse(r#"{"a":1}"#), Json::parse(r#"{"a":1.0}"#));
    }

    #[test]
    fn malformed_texts_are_located() {
        for (text, offset) in [("[1 2]", 3), ("[1", 2), ("{\"a\":}", 5), ("", 0), ("1 1", 2)] {
            assert_eq!(Json::parse(text).unwrap_err().offset, offset, "{text}");
        }
        assert_eq!(Json::parse(&"[".repeat(100_000)).unwrap_err().problem, JsonProblem::TooDeep);
    }
}
