//! Times as people and other programs see them.

use flexcore_eventsourcing::Timestamp;

/// RFC 3339 in UTC with microseconds, for example `2026-01-01T00:00:00.000001Z`.
pub fn format_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(time.as_micros()) {
        Ok(time) => format!("{time:.6}"),
        // Beyond the calendar (the years -9999 to 9999): a number is better than nothing.
        Err(_) => format!("{}us", time.as_micros()),
    }
}

/// The time of an RFC 3339 text; `None` if it is none.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_from_its_text() {
        let time = Timestamp::from_micros(1_767_225_600_000_001);
        assert_eq!(format_time(time), "2026-01-01T00:00:00.000001Z");
        assert_eq!(parse_time(&format_time(time)), Some(time));
        assert_eq!(parse_time("2026-01-01T01:00:00+01:00"), parse_time("2026-01-01T00:00:00Z"));
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn a_time_beyond_the_calendar_is_still_shown() {
        assert_eq!(format_time(Timestamp::from_micros(i64::MAX)), "9223372036854775807us");
    }
}
