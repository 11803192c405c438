//! Numbers as people read them.

/// `1,234,567`.
pub(crate) fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `512 B`, `1.5 KiB`, `3.2 GiB`.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded down: whole numbers all the way.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `340 ms`, `1.2 s`, `2m 05s`, `3h 07m`, `2d 04h`.
pub(crate) fn duration_text(millis: u64) -> String {
    let (seconds, minutes, hours) = (millis / 1_000, millis / 60_000, millis / 3_600_000);
    match () {
        () if millis < 1_000 => format!("{millis} ms"),
        () if seconds < 60 => format!("{seconds}.{} s", millis % 1_000 / 100),
        () if minutes < 60 => format!("{minutes}m {:02}s", seconds % 60),
        () if hours < 24 => format!("{hours}h {:02}m", minutes % 60),
        () => format!("{}d {:02}h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        let texts: Vec<_> = [0, 999, 1_000, 1_234_567].map(count_text).into();
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn bytes_have_a_fitting_unit() {
        let texts: Vec<_> =
            [0, 1_023, 1_024, 1_536, 1_048_575, 1_048_576, u64::MAX].map(bytes_text).into();
        assert_eq!(
            texts,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "1.0 MiB", "15.9 EiB"]
        );
    }

    #[test]
    fn durations_lose_detail_as_they_grow() {
        let texts: Vec<_> =
            [0, 999, 1_250, 59_999, 125_000, 11_220_000, 187_200_000].map(duration_text).into();
        assert_eq!(texts, ["0 ms", "999 ms", "1.2 s", "59.9 s", "2m 05s", "3h 07m", "2d 04h"]);
    }
}
