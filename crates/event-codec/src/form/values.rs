//! Forms of single values: texts, numbers, times, hashes and JSON.

use std::{fmt, marker::PhantomData, str::FromStr, time::Duration};

use flexcore_domain::{
    ApiKeyId, EnvironmentName, ExecutionId, JsonText, Permission, PipelineId, PipelineName,
    PluginCallId, RoleName, StepId,
};
use flexcore_eventsourcing::{Epoch, Hash, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::Form;
use crate::json;

/// Types whose stored form is serde's own.
macro_rules! plain_form {
    ($($value:ty),+) => {$(
        impl Form for $value {
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )+};
}
plain_form!(bool, i32, String);

/// Types that are stored as the text that they print and parse strictly.
macro_rules! text_form {
    ($($value:ty),+) => {$(
        impl Form for $value {
            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }
    )+};
}
text_form!(StepId, PipelineId, ExecutionId, PluginCallId, PipelineName, EnvironmentName);
text_form!(ApiKeyId, RoleName, Permission);

/// Parses a text where it lies, without a copy.
struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl Form for Timestamp {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.as_micros())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from_micros)
    }
}

impl Form for Duration {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.as_micros()).unwrap_or(u64::MAX))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_micros)
    }
}

impl Form for Epoch {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

impl Form for Hash {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexDigits)
    }
}

struct HexDigits;

impl Visitor<'_> for HexDigits {
    type Value = Hash;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a SHA-256 hash of 64 lower-case hex digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Hash, E> {
        let mut hash = Hash::ZERO;
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper || hex::decode_to_slice(text, &mut hash.0).is_err() {
            return Err(E::invalid_value(serde::de::Unexpected::Str(text), &self));
        }
        Ok(hash)
    }
}

/// JSON is read from its own text, not through the payload's parser: so it has its own limit of
/// depth, however deep in the payload it lies.
impl Form for Value {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        json::parse(raw.get()).map_err(D::Error::custom)
    }
}

/// A text of JSON stands in the payload as it is, digit for digit. Whitespace around it is dropped,
/// and a text that is no JSON becomes the JSON string of it: bytes that cannot be read again must
/// never be stored.
impl Form for JsonText {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(self.as_str()) {
            Ok(raw) => raw.serialize(serializer),
            Err(_) => serializer.serialize_str(self.as_str()),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().to_owned()))
    }
}
