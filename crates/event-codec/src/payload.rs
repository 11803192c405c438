//! From payload structs to bytes and back.

use flexcore_eventsourcing::Upcasters;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Error;
use serde_path_to_error::Path;

use crate::{
    DecodeError, Encoded,
    upcasters::{Fields, UPCASTERS},
};

/// The most characters of a reason that an error repeats.
const REASON_LENGTH: usize = 300;

/// The newest payload of one event type. Its fields are the stored ones; what it borrows from an
/// event when it is written, it owns when it was read.
pub(crate) trait Payload: Serialize + DeserializeOwned {
    /// The name of the event type.
    const TYPE: &'static str;
    /// The version of the stored form, from 1.
    const VERSION: u16;
}

/// Names the event type and the version that a payload struct is the stored form of.
macro_rules! event_type {
    ($payload:ty, $name:literal, $version:literal) => {
        impl crate::payload::Payload for $payload {
            const TYPE: &'static str = $name;
            const VERSION: u16 = $version;
        }
    };
}
pub(crate) use event_type;

/// The stored form of a payload.
pub(crate) fn write<P: Payload>(payload: &P) -> Encoded {
    let bytes = serde_json::to_vec(payload)
        .expect("keys are texts and writing to memory cannot fail, so every payload serialises");
    Encoded { type_name: P::TYPE, schema_version: P::VERSION, payload: bytes }
}

/// The event of a payload that was stored in `version`.
pub(crate) fn read<P: Payload, E: From<P>>(version: u16, payload: &[u8]) -> Result<E, DecodeError> {
    let payload: P = if version == P::VERSION {
        parse::<P, P>(version, payload)?
    } else {
        read_through(&UPCASTERS, version, payload)?
    };
    Ok(payload.into())
}

fn read_through<P: Payload>(
    upcasters: &Upcasters<Fields>,
    version: u16,
    payload: &[u8],
) -> Result<P, DecodeError> {
    // First of all: what a newer program wrote need not be anything that we can parse.
    if version > P::VERSION {
        return Err(DecodeError::Newer { type_name: P::TYPE, stored: version, known: P::VERSION });
    }
    let old = parse::<P, Fields>(version, payload)?;
    let newest =
        upcasters.upcast(P::TYPE, version, P::VERSION, old).map_err(DecodeError::Upcast)?;
    let newest =
        serde_json::to_vec(&newest).expect("texts of JSON under keys that are texts serialise");
    parse::<P, P>(version, &newest)
}

/// Reads a payload of `P`'s event type as an `R`. If that fails it is read a second time to learn
/// in which field: to keep track on the first reading would slow down every event that is fine.
fn parse<P: Payload, R: DeserializeOwned>(version: u16, payload: &[u8]) -> Result<R, DecodeError> {
    serde_json::from_slice(payload).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_slice(payload);
        let field = serde_path_to_error::deserialize::<_, R>(&mut deserializer)
            .err()
            .and_then(|error| field_at(error.path()));
        DecodeError::Malformed {
            type_name: P::TYPE,
            schema_version: version,
            field,
            offset: offset_of(payload, &error),
            reason: reason_of(&error),
        }
    })
}

/// The path of a field; `None` if it is no more than the payload as a whole. Where reading stopped
/// before the name of a field was known, it is the path of what surrounds that field.
fn field_at(path: &Path) -> Option<String> {
    let path = path.to_string();
    let known = path.trim_end_matches('?').trim_end_matches('.');
    (!known.is_empty()).then(|| known.to_owned())
}

fn offset_of(payload: &[u8], error: &Error) -> usize {
    let former_lines: usize = payload
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (former_lines + error.column().saturating_sub(1)).min(payload.len())
}

/// What went wrong without the line and column, which mean little in a text of one line.
pub(crate) fn reason_of(error: &Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).chars().take(REASON_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        count: u32,
        unit: String,
    }
    event_type!(Sent, "Sent", 3);

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn upcasters() -> Upcasters<Fields> {
        Upcasters::new()
            .with("Sent", 1, |mut fields: Fields| match fields.remove("n") {
                None => Err("no `n`".to_owned()),
                Some(count) => {
                    fields.insert("count".to_owned(), count);
                    Ok(fields)
                }
            })
            .with("Sent", 2, |mut fields| {
                fields.insert("unit".to_owned(), raw("\"record\""));
                Ok(fields)
            })
    }

    fn read_sent(version: u16, payload: &[u8]) -> Result<Sent, DecodeError> {
        read_through(&upcasters(), version, payload)
    }

    #[test]
    fn every_old_version_becomes_the_newest() {
        let sent = Sent { count: 7, unit: "record".to_owned() };
        assert_eq!(read_sent(1, br#"{"n":7}"#).unwrap(), sent);
        assert_eq!(read_sent(2, br#"{"count":7}"#).unwrap(), sent);
        let newest = write(&sent);
        assert_eq!((newest.type_name, newest.schema_version), ("Sent", 3));
        assert_eq!(read::<Sent, Sent>(3, &newest.payload).unwrap(), sent);
    }

    #[test]
    fn a_refused_a_missing_and_a_future_version_are_told_apart() {
        let refused = read_sent(1, b"{}").unwrap_err();
        assert_eq!(refused.to_string(), "version 1 of Sent cannot be upcast: no `n`");
        let missing = read_sent(0, b"{}").unwrap_err();
        assert_eq!(missing.to_string(), "no upcaster leads on from version 0 of Sent");
        let newer = DecodeError::Newer { type_name: "Sent", stored: 4, known: 3 };
        assert_eq!(read_sent(4, b"\x01").unwrap_err(), newer);
    }

    #[test]
    fn an_old_payload_that_is_malformed_is_located() {
        let error = read_sent(1, b"{\"n\":\n 1,\n2").unwrap_err();
        let expected =
            "the payload of Sent version 1 is malformed at byte 10: key must be a string";
        assert_eq!(error.to_string(), expected);
        let error = read_sent(1, b"{\"a\":\"\xff\"}").unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { field: Some(_), .. }), "{error:?}");
    }

    #[test]
    fn an_upcast_form_that_does_not_fit_is_located() {
        let error = read_sent(1, br#"{"n":"many"}"#).unwrap_err();
        let expected = "the payload of Sent version 1 is malformed at byte 14 in `count`: invalid \
                        type: string \"many\", expected u32";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_reason_is_never_long() {
        let payload = format!(r#"{{"count":"{}"}}"#, "x".repeat(10_000));
        let error = read_sent(3, payload.as_bytes()).unwrap_err();
        let DecodeError::Malformed { reason, .. } = error else { panic!("{error:?}") };
        assert_eq!(reason.chars().count(), REASON_LENGTH);
    }
}
