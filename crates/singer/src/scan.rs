//! A strict JSON scanner (RFC 8259) that finds where values begin and end without building them.
//!
//! It never recurses, so that no input can exhaust the stack, and reports the exact byte of the
//! first mistake. Strings are checked for their grammar; their text is made by [`crate::unquote`].

use std::{borrow::Cow, fmt};

use crate::text::{plain_prefix, unquote};

/// Nesting deeper than this is refused, as `serde_json` does at a similar depth.
const MAX_DEPTH: usize = 256;

/// The tokens that Python's `json` writes for floats that JSON cannot express.
const NOT_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The first mistake in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {}: {problem}", .offset + 1)]
pub struct JsonError {
    /// Where the mistake begins, counted in bytes from 0.
    pub offset: usize,
    /// What is wrong there.
    pub problem: JsonProblem,
}

/// What can be wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonProblem {
    /// The text ends inside a value.
    UnexpectedEnd,
    /// A byte that cannot stand here.
    UnexpectedByte(u8),
    /// `NaN`, `Infinity` or `-Infinity`: Python writes them, JSON has no such numbers.
    NotANumber(&'static str),
    /// A number with a leading zero, a bare minus, or no digits after its point or exponent.
    BadNumber,
    /// A control character inside a string must be escaped.
    ControlCharacter(u8),
    /// An escape that JSON does not have, or half of a surrogate pair.
    BadEscape,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// More levels of arrays and objects than the scanner follows.
    TooDeep,
    /// A complete value is followed by something else.
    TrailingText,
    /// Another kind of value was needed: an object.
    NotAnObject,
}

impl fmt::Display for JsonProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd => formatter.write_str("the text ends inside a value"),
            Self::UnexpectedByte(byte) => {
                write!(formatter, "unexpected '{}'", byte.escape_ascii())
            }
            Self::NotANumber(token) => {
                write!(formatter, "{token} is not a JSON number; send null or a string instead")
            }
            Self::BadNumber => formatter.write_str("malformed number"),
            Self::ControlCharacter(byte) => {
                write!(formatter, "control character 0x{byte:02x} must be escaped in a string")
            }
            Self::BadEscape => formatter.write_str("malformed escape in a string"),
            Self::NotUtf8 => formatter.write_str("not UTF-8"),
            Self::TooDeep => write!(formatter, "nested deeper than {MAX_DEPTH} levels"),
            Self::TrailingText => formatter.write_str("text after the end of the value"),
            Self::NotAnObject => formatter.write_str("expected an object"),
        }
    }
}

/// One member of an object: its key and the raw text of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value exactly as written, without the spaces around it.
    pub value: &'a str,
}

/// The members of an object in the order of the text; ends after the first error.
///
/// Made by [`members`].
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    position: Position,
}

#[derive(Debug)]
enum Position {
    Before,
    Between,
    Ended,
}

/// Walks the members of the object that `text` holds, checking the text as it goes.
///
/// The text is fully checked once the iterator has returned `None`.
pub fn members(text: &str) -> Members<'_> {
    Members { text, scanner: Scanner::strict(text.as_bytes()), position: Position::Before }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.position = Position::Ended;
        }
        next.transpose()
    }
}

impl<'a> Members<'a> {
    fn advance(&mut self) -> Result<Option<Member<'a>>, JsonError> {
        let scanner = &mut self.scanner;
        let another = match self.position {
            Position::Before => scanner.enter_object()?,
            Position::Between => scanner.next_member()?,
            Position::Ended => return Ok(None),
        };
        if !another {
            scanner.end()?;
            return Ok(None);
        }
        self.position = Position::Between;
        let key_start = scanner.at;
        scanner.string()?;
        let key = unquote(&self.text[key_start..scanner.at])
            .ok_or(JsonError { offset: key_start, problem: JsonProblem::BadEscape })?;
        scanner.colon()?;
        let start = scanner.at;
        scanner.value()?;
        Ok(Some(Member { key, value: &self.text[start..scanner.at] }))
    }
}

/// Position in a JSON text. Methods leave it behind what they have read.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    lenient: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn strict(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, lenient: false }
    }

    /// Also passes over the number-like tokens that Python writes.
    pub(crate) fn lenient(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, lenient: true }
    }

    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn error<T>(&self, problem: JsonProblem) -> Result<T, JsonError> {
        Err(JsonError { offset: self.at, problem })
    }

    fn unexpected<T>(&self) -> Result<T, JsonError> {
        match self.peek() {
            Some(byte) => self.error(JsonProblem::UnexpectedByte(byte)),
            None => self.error(JsonProblem::UnexpectedEnd),
        }
    }

    pub(crate) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Enters an object; true if it has members, then the scanner stands at the first key.
    pub(crate) fn enter_object(&mut self) -> Result<bool, JsonError> {
        self.space();
        if !self.eat(b'{') {
            return match self.peek() {
                None => self.error(JsonProblem::UnexpectedEnd),
                Some(_) => self.error(JsonProblem::NotAnObject),
            };
        }
        self.space();
        Ok(!self.eat(b'}'))
    }

    /// After a member's value: true if the scanner now stands at the next key.
    pub(crate) fn next_member(&mut self) -> Result<bool, JsonError> {
        self.space();
        if self.eat(b',') {
            self.space();
            return Ok(true);
        }
        if self.eat(b'}') { Ok(false) } else { self.unexpected() }
    }

    /// Reads the colon after a key and the spaces around it.
    pub(crate) fn colon(&mut self) -> Result<(), JsonError> {
        self.space();
        if !self.eat(b':') {
            return self.unexpected();
        }
        self.space();
        Ok(())
    }

    /// Only spaces may follow.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { self.error(JsonProblem::TrailingText) }
    }

    /// Passes over one string, quotes included.
    pub(crate) fn string(&mut self) -> Result<(), JsonError> {
        if !self.eat(b'"') {
            return self.unexpected();
        }
        loop {
            self.at += plain_prefix(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(byte) => return self.error(JsonProblem::ControlCharacter(byte)),
                None => return self.error(JsonProblem::UnexpectedEnd),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => match self.bytes.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
                Some(_) => return self.error(JsonProblem::BadEscape),
                None => return self.error(JsonProblem::UnexpectedEnd),
            },
            Some(_) => return self.error(JsonProblem::BadEscape),
            None => return self.error(JsonProblem::UnexpectedEnd),
        };
        self.at += length;
        Ok(())
    }

    /// Passes over one value of any kind.
    pub(crate) fn value(&mut self) -> Result<(), JsonError> {
        let mut nesting = Nesting::default();
        loop {
            match self.peek() {
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if !self.eat(b'}') {
                        nesting.enter(true).or_else(|problem| self.error(problem))?;
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if !self.eat(b']') {
                        nesting.enter(false).or_else(|problem| self.error(problem))?;
                        continue;
                    }
                }
                Some(_) => self.scalar()?,
                None => return self.error(JsonProblem::UnexpectedEnd),
            }
            if !self.after_value(&mut nesting)? {
                return Ok(());
            }
        }
    }

    /// After a value: leaves what it ends; true if the scanner stands at another value.
    fn after_value(&mut self, nesting: &mut Nesting) -> Result<bool, JsonError> {
        while let Some(in_object) = nesting.innermost() {
            self.space();
            match (in_object, self.peek()) {
                (true, Some(b',')) => {
                    self.at += 1;
                    self.space();
                    self.key()?;
                    return Ok(true);
                }
                (false, Some(b',')) => {
                    self.at += 1;
                    self.space();
                    return Ok(true);
                }
                (true, Some(b'}')) | (false, Some(b']')) => {
                    self.at += 1;
                    nesting.leave();
                }
                _ => return self.unexpected(),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), JsonError> {
        self.string()?;
        self.colon()
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9' | b'N' | b'I') => self.number(),
            _ => self.unexpected(),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), JsonError> {
        if self.bytes[self.at..].starts_with(literal.as_bytes()) {
            self.at += literal.len();
            return Ok(());
        }
        self.unexpected()
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let rest = &self.bytes[self.at..];
        if let Some(token) = NOT_NUMBERS.iter().find(|token| rest.starts_with(token.as_bytes())) {
            if !self.lenient {
                return self.error(JsonProblem::NotANumber(token));
            }
            self.at += token.len();
            return Ok(());
        }
        match number_length(rest) {
            Some(length) => {
                self.at += length;
                Ok(())
            }
            None => self.error(JsonProblem::BadNumber),
        }
    }
}

/// Length of the JSON number at the start of `bytes`, if a well-formed one stands there.
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| {
        bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// The open arrays and objects around a position: one bit each, set for an object.
#[derive(Default)]
struct Nesting {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    #[inline]
    fn enter(&mut self, object: bool) -> Result<(), JsonProblem> {
        if self.depth == MAX_DEPTH {
            return Err(JsonProblem::TooDeep);
        }
        let bit = 1_u64 << (self.depth % 64);
        let word = &mut self.bits[self.depth / 64];
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn innermost(&self) -> Option<bool> {
        let top = self.depth.checked_sub(1)?;
        Some(self.bits[top / 64] >> (top % 64) & 1 == 1)
    }

    #[inline]
    fn leave(&mut self) {
        self.depth -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (usize, JsonProblem) {
        let error = members(text).find_map(Result::err).expect("the text is malformed");
        (error.offset, error.problem)
    }

    #[test]
    fn members_keep_the_raw_text_of_values() {
        let text = r#" {"a": 1.50 , "b\u0063":[1, {"x":"}"}],"c":"\"" } "#;
        let found: Vec<_> =
            members(text).map(|m| m.unwrap()).map(|m| (m.key.into_owned(), m.value)).collect();
        assert_eq!(
            found,
            [
                ("a".to_owned(), "1.50"),
                ("bc".to_owned(), r#"[1, {"x":"}"}]"#),
                ("c".to_owned(), r#""\"""#),
            ]
        );
    }

    #[test]
    fn errors_name_the_first_wrong_byte() {
        assert_eq!(problem(r#"{"a":NaN}"#), (5, JsonProblem::NotANumber("NaN")));
        assert_eq!(problem(r#"{"a":-Infinity}"#), (5, JsonProblem::NotANumber("-Infinity")));
        assert_eq!(problem(r#"{"a":01}"#), (5, JsonProblem::BadNumber));
        assert_eq!(problem(r#"{"a":1.}"#), (5, JsonProblem::BadNumber));
        assert_eq!(problem(r#"{"a" 1}"#), (5, JsonProblem::UnexpectedByte(b'1')));
        assert_eq!(problem(r#"{"a":1]"#), (6, JsonProblem::UnexpectedByte(b']')));
        assert_eq!(problem(r#"{"a":[1}"#), (7, JsonProblem::UnexpectedByte(b'}')));
        assert_eq!(problem(r#"{"a":1} x"#), (8, JsonProblem::TrailingText));
        assert_eq!(problem(r#"{"a":tru}"#), (5, JsonProblem::UnexpectedByte(b't')));
        assert_eq!(problem("{\"a\":\"\n\"}"), (6, JsonProblem::ControlCharacter(b'\n')));
        assert_eq!(problem(r#"{"a":"\x"}"#), (6, JsonProblem::BadEscape));
        assert_eq!(problem("[1]"), (0, JsonProblem::NotAnObject));
        assert_eq!(problem(r#"{"a":"#), (5, JsonProblem::UnexpectedEnd));
    }

    #[test]
    fn nesting_has_a_limit_and_no_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(256), "]".repeat(256));
        assert_eq!(members(&deep).filter_map(Result::err).count(), 0);
        let deeper = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(problem(&deeper).1, JsonProblem::TooDeep);
    }

    #[test]
    fn an_ended_walk_stays_ended_after_an_error() {
        let mut walk = members(r#"{"a":x,"b":1}"#);
        assert!(walk.next().unwrap().is_err());
        assert!(walk.next().is_none());
    }
}
