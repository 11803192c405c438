//! JSON that belongs to users: definitions, outputs, states, schemas.

use serde::{Deserialize, de::Error as _};
use serde_json::{Deserializer, Error, Value};

/// How deep JSON inside an event may be nested, in levels of arrays and objects.
///
/// `serde_json` reads 127 levels and no more. A value that it read, put into another one, must
/// still be readable once it is stored, so the limit here is higher; there is one because reading
/// and dropping a value take stack for each level.
pub const MAX_JSON_DEPTH: usize = 256;

/// Reads a JSON text of at most [`MAX_JSON_DEPTH`] levels.
pub(crate) fn parse(text: &str) -> Result<Value, Error> {
    if depth(text) > MAX_JSON_DEPTH {
        return Err(Error::custom(format_args!("nested more than {MAX_JSON_DEPTH} levels deep")));
    }
    let mut deserializer = Deserializer::from_str(text);
    deserializer.disable_recursion_limit();
    let value = Value::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The most brackets that are open at once, outside strings; of a text that is not JSON it may be
/// anything, but never less than what a parser enters before it notices.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    most
}

fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn the_limit_is_exact() {
        assert!(parse(&nested(MAX_JSON_DEPTH)).is_ok());
        let error = parse(&nested(MAX_JSON_DEPTH + 1)).unwrap_err();
        assert_eq!(error.to_string(), "nested more than 256 levels deep");
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(depth(r#"["[[\"[[", {"{\\": 1}]"#), 2);
    }

    #[test]
    fn a_million_open_brackets_do_not_overflow_the_stack() {
        assert!(parse(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn something_after_the_value_is_an_error() {
        assert!(parse("1 2").is_err());
    }
}
