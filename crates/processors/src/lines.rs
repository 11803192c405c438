//! What the plugins have in common: JSON that comes from outside, as text.

use flexcore_plugin_sdk::{Call, Failure};
use serde_json::{Value, value::RawValue};

/// As deep as values may be nested. Deeper ones would exhaust the stack of whoever walks them.
const MAX_DEPTH: usize = 256;

/// Whether `json` is one JSON value that is not nested too deep.
pub(crate) fn check(json: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<&RawValue>(json).map_err(|error| error.to_string())?;
    if depth(json) > MAX_DEPTH {
        return Err(format!("it is nested more than {MAX_DEPTH} levels deep"));
    }
    Ok(())
}

/// How deep a JSON text is nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The parameters of a call that has some instead of records.
pub(crate) fn parameters(call: &Call) -> Option<&Value> {
    match &call.parameters {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        other => Some(other),
    }
}

/// Settings as a type.
pub(crate) fn settings<T: serde::de::DeserializeOwned>(config: &Value) -> Result<T, Failure> {
    T::deserialize(config)
        .map_err(|error| Failure::configuration(format!("the settings are wrong: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        assert_eq!(depth(br#"{"a":[1,{"b":"[[["}],"c":"\"["}"#), 3);
        assert_eq!(depth(b"1"), 0);
        assert!(check(b"[1]").is_ok());
        assert!(check(b"[1").is_err());
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        assert!(check(deep.as_bytes()).unwrap_err().contains("256 levels"));
    }
}
