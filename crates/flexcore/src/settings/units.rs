//! Durations and sizes, written as in pipeline files.

/// `30s`, `5m` and the like.
pub(super) mod duration {
    use std::time::Duration;

    use flexcore_pipeline_file::parse_duration;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let milliseconds = value.as_millis();
        serializer.serialize_str(&match milliseconds.is_multiple_of(1000) {
            true => format!("{}s", milliseconds / 1000),
            false => format!("{milliseconds}ms"),
        })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no duration such as `250ms`, `30s` or `5m`"))
        })
    }
}

/// `64KiB`, `8MiB` and the like.
pub(super) mod size {
    use flexcore_pipeline_file::parse_size;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = UNITS.into_iter().find(|(size, _)| *value > 0 && value.is_multiple_of(*size));
        let (size, unit) = unit.unwrap_or((1, "B"));
        serializer.serialize_str(&format!("{}{unit}", value / size))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_size(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no size such as `64KiB` or `8MiB`"))
        })
    }
}
