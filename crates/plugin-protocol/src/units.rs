//! Sizes, durations and shares of processors as manifests, grants and pipeline files write them.

use std::{fmt, time::Duration};

/// What a duration looks like, for messages.
pub(crate) const DURATION_EXAMPLES: &str = "a duration such as `250ms`, `30s`, `5m`, `2h` or `7d`";
/// What a size looks like, for messages.
pub(crate) const SIZE_EXAMPLES: &str = "a size such as `64KiB`, `16MiB` or `1GiB`";
/// The duration syntax as a regular expression, for the published schema.
pub(crate) const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";
/// The size syntax as a regular expression, for the published schema.
pub(crate) const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

const SIZE_UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A number of bytes. Shown in the largest unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads `64KiB`, `256MiB` and the like: a whole number and one binary unit.
    pub fn parse(text: &str) -> Option<Self> {
        scaled(text, &SIZE_UNITS).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(formatter, self.0, &SIZE_UNITS)
    }
}

/// A span of time in whole milliseconds. Shown in the largest unit that divides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(Duration);

impl TimeSpan {
    /// Some whole milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Reads `250ms`, `30s`, `5m`, `2h` or `7d`: a whole number and one unit.
    pub fn parse(text: &str) -> Option<Self> {
        scaled(text, &DURATION_UNITS).map(Self::from_millis)
    }

    /// The same for the standard library.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        write_scaled(formatter, milliseconds, &DURATION_UNITS)
    }
}

/// A share of processors in thousandths: 500 is half of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MilliCpu(u32);

impl MilliCpu {
    /// The largest share: 1,024 processors.
    pub const MAX: f64 = 1024.0;

    /// Reads a number of processors such as `0.5`; at least a thousandth, in whole thousandths.
    pub fn from_cpus(cpus: f64) -> Option<Self> {
        let thousandths = cpus * 1000.0;
        let legal =
            (0.001..=Self::MAX).contains(&cpus) && (thousandths - thousandths.round()).abs() < 1e-6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 1,024,000, as was just looked at"
        )]
        legal.then(|| Self(thousandths.round() as u32))
    }

    /// Thousandths as a number of processors.
    pub(crate) fn show(thousandths: u64) -> String {
        let (whole, rest) = (thousandths / 1000, thousandths % 1000);
        if rest == 0 {
            return whole.to_string();
        }
        format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
    }

    /// The share in thousandths.
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl fmt::Display for MilliCpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", Self::show(self.0.into()))
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

fn write_scaled(
    formatter: &mut fmt::Formatter<'_>,
    value: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| value > 0 && value.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(fits).copied().unwrap_or((units[0].0, 1));
    write!(formatter, "{}{unit}", value / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_durations_are_a_whole_number_and_one_unit() {
        assert_eq!(ByteSize::parse("256MiB"), Some(ByteSize(256 << 20)));
        assert_eq!(TimeSpan::parse("10m"), Some(TimeSpan::from_millis(600_000)));
        for wrong in ["", "16", "MiB", "16MB", "1.5GiB", "16 MiB", "-1B", "18446744073709551615KiB"]
        {
            assert_eq!(ByteSize::parse(wrong), None, "{wrong}");
        }
        for wrong in ["", "5", "m", "5 m", "1h30m", "5M", "٣s", "99999999999999999d"] {
            assert_eq!(TimeSpan::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shares_of_processors_are_whole_thousandths() {
        assert_eq!(MilliCpu::from_cpus(0.5).unwrap().thousandths(), 500);
        assert_eq!(MilliCpu::from_cpus(1.1).unwrap().to_string(), "1.1");
        for wrong in [0.0, -1.0, 0.0005, 1.23456, 1025.0, f64::NAN, f64::INFINITY] {
            assert_eq!(MilliCpu::from_cpus(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(value: u64, thousandths in 1..1_024_000_u32) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(value).to_string()), Some(ByteSize(value)));
            let span = TimeSpan::from_millis(value);
            prop_assert_eq!(TimeSpan::parse(&span.to_string()), Some(span));
            let share = MilliCpu(thousandths);
            let read = share.to_string().parse().ok().and_then(MilliCpu::from_cpus);
            prop_assert_eq!(read, Some(share));
        }
    }
}
