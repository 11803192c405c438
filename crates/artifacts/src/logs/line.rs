//! The stored form of a line: one JSON object.
//!
//! ```json
//! {"time":"2026-01-31T08:15:00.250000Z","source":"stderr","line":"42 rows"}
//! ```
//!
//! The time is RFC 3339 in UTC, always with six digits of a second, so that lines sort as text.

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::LogLine;
use serde::{Deserialize, Serialize};

/// The source of a line that cannot be parsed.
const DAMAGED: &str = "damaged";

#[derive(Serialize)]
struct Encoded<'a> {
    time: String,
    source: &'a str,
    line: &'a str,
}

#[derive(Deserialize)]
struct Decoded {
    time: jiff::Timestamp,
    source: String,
    line: String,
}

/// Adds a line with its newline to `buffer`.
pub(super) fn encode(buffer: &mut Vec<u8>, time: Timestamp, source: &str, line: &str) {
    let encoded = Encoded { time: rfc_3339(time), source, line };
    serde_json::to_writer(&mut *buffer, &encoded).expect("strings in memory become JSON");
    buffer.push(b'\n');
}

/// A line without its newline; `None` if it is not one of ours.
fn decode(bytes: &[u8]) -> Option<LogLine> {
    let Decoded { time, source, line } = serde_json::from_slice(bytes).ok()?;
    Some(LogLine { time: Timestamp::from_micros(time.as_microsecond()), source, line })
}

/// Whole lines, each ended by a newline.
///
/// A line that is damaged is shown as it is, with the time of the one before it: whoever reads a
/// log wants to see what is there.
pub(super) fn decode_all(bytes: &[u8]) -> Vec<LogLine> {
    let mut time = Timestamp::EPOCH;
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let line = decode(line).unwrap_or_else(|| LogLine {
                time,
                source: DAMAGED.to_owned(),
                line: String::from_utf8_lossy(line).into_owned(),
            });
            time = line.time;
            line
        })
        .collect()
}

/// Times outside the calendar's range (years -9999 to 9999) become its nearest end.
fn rfc_3339(time: Timestamp) -> String {
    let nearest_end =
        if time < Timestamp::EPOCH { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or(nearest_end);
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(time: i64, source: &str, line: &str) -> Vec<u8> {
        let mut buffer = Vec::new();
        encode(&mut buffer, Timestamp::from_micros(time), source, line);
        buffer
    }

    #[test]
    fn the_stored_form_stays_as_it_is() {
        let text = encoded(1_769_847_300_250_000, "stderr", "a \"b\"\n\u{1b}[0m ä");
        let expected = concat!(
            r#"{"time":"2026-01-31T08:15:00.250000Z","source":"stderr","line":"#,
            r#""a \"b\"\n\u001b[0m ä"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(encoded(0, "", "").starts_with(br#"{"time":"1970-01-01T00:00:00.000000Z""#));
    }

    #[test]
    fn a_damaged_line_is_shown_between_its_neighbours() {
        let mut bytes = encoded(5, "tap", "one");
        bytes.extend(b"{\"time\":\xff\n\n");
        bytes.extend(encoded(7, "tap", "two"));
        let lines = decode_all(&bytes);
        assert_eq!(
            lines.iter().map(|line| line.source.as_str()).collect::<Vec<_>>(),
            ["tap", "damaged", "tap"]
        );
        assert_eq!(lines[1].line, "{\"time\":\u{fffd}");
        assert_eq!(lines[1].time, lines[0].time);
    }

    proptest! {
        #[test]
        fn a_line_reads_back_as_written(time in -62_000_000_000_000_000i64..250_000_000_000_000_000,
            source in "[a-z]{1,8}", line in any::<String>(),
        ) {
            let expected = LogLine { time: Timestamp::from_micros(time), source, line };
            let bytes = encoded(time, &expected.source, &expected.line);
            prop_assert_eq!(decode_all(&bytes), vec![expected]);
        }

        #[test]
        fn no_time_and_no_bytes_panic(time: i64, bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            encoded(time, "", "");
            decode_all(&bytes);
        }
    }
}
