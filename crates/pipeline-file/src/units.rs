//! Durations and sizes as the language writes them: a whole number and one unit.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const DURATION_EXAMPLES: &str = "a duration such as `250ms`, `30s`, `5m`, `2h` or `7d`";
/// What a size looks like, for messages.
pub(crate) const SIZE_EXAMPLES: &str = "a size such as `64KiB`, `16MiB` or `1GiB`";
/// The duration syntax as a regular expression, for the published schema.
pub(crate) const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";
/// The size syntax as a regular expression, for the published schema.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

/// Reads `250ms`, `30s`, `5m`, `2h` or `7d`; `None` for anything else and for what does not fit
/// in 64 bits of milliseconds.
///
/// ```
/// # use std::time::Duration;
/// # use flexcore_pipeline_file::parse_duration;
/// assert_eq!(parse_duration("5m"), Some(Duration::from_secs(300)));
/// assert_eq!(parse_duration("1h30m"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let milliseconds = scaled(text, |unit| match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    })?;
    Some(Duration::from_millis(milliseconds))
}

/// Reads `64KiB`, `16MiB` and the like into bytes; `None` for anything else.
///
/// ```
/// # use flexcore_pipeline_file::parse_size;
/// assert_eq!(parse_size("64KiB"), Some(65_536));
/// assert_eq!(parse_size("64KB"), None);
/// ```
pub fn parse_size(text: &str) -> Option<u64> {
    scaled(text, |unit| match unit {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    })
}

fn scaled(text: &str, factor: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    digits.parse::<u64>().ok()?.checked_mul(factor(unit)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        assert_eq!(parse_duration("7d"), Some(Duration::from_hours(7 * 24)));
        for wrong in ["", "5", "m", "5 m", "-5m", "1.5h", "5M", "5min", "٣s", "99999999999999999d"]
        {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("16MiB"), Some(16 * 1024 * 1024));
        assert_eq!(parse_size("1TiB"), Some(1 << 40));
        for wrong in ["", "16", "16MB", "1.5GiB", "16 MiB", "18446744073709551615KiB"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_of_milliseconds_reads_back(milliseconds: u64) {
            prop_assert_eq!(
                parse_duration(&format!("{milliseconds}ms")),
                Some(Duration::from_millis(milliseconds))
            );
        }
    }
}
