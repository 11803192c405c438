//! The kinds of values that keys take, with the marks by which the checker knows them.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::units::{DURATION_EXAMPLES, DURATION_PATTERN, SIZE_EXAMPLES, SIZE_PATTERN};

/// Marks a key that is part of the language but not of this version.
pub(crate) const NOT_SUPPORTED: &str = "x-not-supported";
/// Marks a map whose order matters; it is kept as a list of pairs.
pub(crate) const ORDERED: &str = "x-ordered";
/// Marks a text that may also be written as a number or boolean.
pub(crate) const SCALAR_AS_TEXT: &str = "x-scalar-as-text";
/// Marks the environment map, in which `null` means the host's value.
pub(crate) const ENVIRONMENT: &str = "x-environment";
/// Marks the alternative that a template takes.
pub(crate) const TEMPLATE: &str = "x-template";
/// What a value looks like, for messages.
pub(crate) const EXPECTED: &str = "x-expected";
/// What the environment map holds for a name whose value comes from the host.
pub(crate) const FROM_HOST: &str = "$host";

/// Generates a newtype of a text with a pattern, a format name and a phrase for messages.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $format:literal, $pattern:expr, $expected:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": $format,
                    "pattern": $pattern,
                    "x-expected": $expected,
                })
            }
        }
    };
}

text_type!(
    /// A duration: `250ms`, `30s`, `5m`, `2h`, `7d`.
    DurationText, "flexcore-duration", DURATION_PATTERN, DURATION_EXAMPLES
);
text_type!(
    /// A size: `64KiB`, `16MiB`.
    SizeText, "flexcore-size", SIZE_PATTERN, SIZE_EXAMPLES
);
text_type!(
    /// The id of a step or the name of a parameter: `[a-z][a-z0-9_]{0,62}`.
    IdText, "flexcore-id", "^[a-z][a-z0-9_]{0,62}$",
    "a lower-case letter, then up to 62 lower-case letters, digits or `_`"
);
text_type!(
    /// The name of a pipeline, plugin, schedule or environment: `[a-z][a-z0-9_-]{0,62}`.
    NameText, "flexcore-name", "^[a-z][a-z0-9_-]{0,62}$",
    "a lower-case letter, then up to 62 lower-case letters, digits, `_` or `-`"
);

/// A text; a number or boolean stands for the text that is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], (SCALAR_AS_TEXT): true })
    }
}

/// A bare expression; `{{ }}` around it is tolerated.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ExpressionText(pub String);

impl JsonSchema for ExpressionText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExpressionText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number", "boolean"],
            (SCALAR_AS_TEXT): true,
            (EXPECTED): "an expression such as `steps.load.output.records > 0`",
        })
    }
}

/// A value, or a template that becomes one when the step starts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Templated<T> {
    /// The value itself.
    Value(T),
    /// A text with `{{ … }}`.
    Template(String),
}

impl<T: JsonSchema> JsonSchema for Templated<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Templated{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [value, { "type": "string", "pattern": r"\{\{", (TEMPLATE): true }],
        })
    }
}

/// Anything: the plugin says what is legal.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct Free(pub Value);

impl JsonSchema for Free {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Free".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// Any map: the plugin says which keys are legal.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct FreeMap(pub BTreeMap<String, Value>);

impl JsonSchema for FreeMap {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FreeMap".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// Environment variables: a map of names to texts, where `null` passes the host's value, or a list
/// of names whose values all come from the host.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct EnvironmentMap(pub BTreeMap<String, Value>);

impl JsonSchema for EnvironmentMap {
    fn schema_name() -> Cow<'static, str> {
        "EnvironmentVariables".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Environment variables: a map of names to texts, where `null` passes \
                the host's value, or a list of names whose values all come from the host.",
            "anyOf": [
                {
                    "type": "object",
                    "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
                },
                { "type": "array", "items": { "type": "string" } },
            ],
            (ENVIRONMENT): true,
        })
    }
}

/// A map whose entries are looked at in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderedMap<T>(pub Vec<(String, T)>);

impl<T> Default for OrderedMap<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: JsonSchema> JsonSchema for OrderedMap<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Ordered{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value, (ORDERED): true })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrderedMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderedVisitor(PhantomData))
    }
}

struct OrderedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
    type Value = OrderedMap<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map, or a list of pairs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(OrderedMap(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(OrderedMap(entries))
    }
}
