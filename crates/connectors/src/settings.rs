//! Reads a connector's configuration and refuses keys that it does not know.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Keys at least this similar (Jaro-Winkler) are worth a hint.
const SIMILAR: f64 = 0.7;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("no configuration; pass --config FILE")]
    Missing,
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("unknown key '{key}' in the configuration{hint}")]
    UnknownKey { key: String, hint: String },
    #[error("the configuration is not usable")]
    Shape(#[from] serde_json::Error),
    #[error("{0}")]
    Value(String),
}

/// The JSON Schema of a connector's settings.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Reads the configuration file.
pub(crate) fn read<T: DeserializeOwned + JsonSchema>(
    path: Option<&Path>,
) -> Result<T, SettingsError> {
    let path = path.ok_or(SettingsError::Missing)?;
    let text = fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    parse(&text)
}

/// Reads a configuration text.
pub(crate) fn parse<T: DeserializeOwned + JsonSchema>(text: &str) -> Result<T, SettingsError> {
    let value: Value = serde_json::from_str(text)?;
    let schema = schema::<T>();
    check_keys(&schema, &schema, &value, "")?;
    Ok(serde_json::from_str(text)?)
}

/// Follows the schema down the value; an object whose schema is closed may only have its keys.
fn check_keys(
    root: &Value,
    schema: &Value,
    value: &Value,
    path: &str,
) -> Result<(), SettingsError> {
    let schema = resolve(root, schema);
    if let Some(Value::Array(variants)) = schema.get("anyOf") {
        return variants.iter().try_for_each(|variant| check_keys(root, variant, value, path));
    }
    match value {
        Value::Array(elements) => {
            let Some(items) = schema.get("items") else { return Ok(()) };
            for (index, element) in elements.iter().enumerate() {
                check_keys(root, items, element, &format!("{path}[{index}]"))?;
            }
        }
        Value::Object(members) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else {
                return Ok(());
            };
            for (key, member) in members {
                let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let Some(schema) = known.get(key) else {
                    let hint = hint(key, known.keys().map(String::as_str));
                    return Err(SettingsError::UnknownKey { key: place, hint });
                };
                check_keys(root, schema, member, &place)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| root.pointer(reference.strip_prefix('#')?))
        .unwrap_or(schema)
}

/// `; did you mean 'x'?` for the nearest name, or the list of names.
pub(crate) fn hint<'a>(wrong: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let lower = wrong.to_lowercase();
    let nearest = known
        .clone()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((similarity, name)) if similarity >= SIMILAR => format!("; did you mean '{name}'?"),
        _ => format!("; known are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only read by serde")]
        files: Vec<Inner>,
        #[expect(dead_code, reason = "only read by serde")]
        other: Option<Inner>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read by serde")]
        delimiter: String,
    }

    fn message(text: &str) -> String {
        parse::<Sample>(text).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest_known_one() {
        assert_eq!(
            message(r#"{"file":[]}"#),
            "unknown key 'file' in the configuration; did you mean 'files'?"
        );
        assert_eq!(
            message(r#"{"files":[{"delimiter":";"},{"delimeter":";"}]}"#),
            "unknown key 'files[1].delimeter' in the configuration; did you mean 'delimiter'?"
        );
        assert_eq!(
            message(r#"{"files":[],"other":{"zzz":1}}"#),
            "unknown key 'other.zzz' in the configuration; known are delimiter"
        );
    }

    #[test]
    fn broken_configurations_are_errors() {
        assert_eq!(message("{"), "the configuration is not usable");
        assert_eq!(message(r#"{"files":7}"#), "the configuration is not usable");
        assert!(matches!(read::<Sample>(None), Err(SettingsError::Missing)));
        assert!(matches!(
            read::<Sample>(Some(Path::new("/nowhere/config.json"))),
            Err(SettingsError::Read { .. })
        ));
    }
}
