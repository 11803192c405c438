//! What a person reads of a payload that is not as it should be.

use flexcore_domain::{
    data_stream::DataStreamEvent, execution::ExecutionEvent, pipeline::PipelineEvent,
    pipeline_name::NameEvent,
};
use flexcore_event_codec::{DecodeError, StoredEvent};

use crate::samples;

fn refusal<E: StoredEvent + std::fmt::Debug>(type_name: &str, payload: &str) -> String {
    E::decode(type_name, 1, payload.as_bytes()).unwrap_err().to_string()
}

#[test]
fn an_unknown_type_is_named_with_the_known_ones() {
    let error = NameEvent::decode("NameLost", 1, b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`NameLost` is not one of the event types NameReserved, NameReleased"
    );
    assert!(matches!(error, DecodeError::UnknownType { known: NameEvent::TYPES, .. }));
}

#[test]
fn a_version_of_the_future_says_what_to_do() {
    assert_eq!(
        ExecutionEvent::decode("StepStarted", 2, b"anything").unwrap_err().to_string(),
        "StepStarted is stored in version 2, but this program reads only up to version 1; use the \
         FlexCore that wrote it, or a newer one"
    );
}

#[test]
fn a_version_that_never_was_is_refused() {
    assert_eq!(
        NameEvent::decode("NameReserved", 0, b"{}").unwrap_err().to_string(),
        "no upcaster leads on from version 0 of NameReserved"
    );
}

#[test]
fn every_malformed_field_is_named_with_its_place() {
    let cases = [
        (r#"{"attempt":1}"#, "at byte 12: missing field `step`"),
        (
            r#"{"step":"load","attempt":1,"colour":2}"#,
            "at byte 34 in `colour`: unknown field `colour`, expected one of `step`, `attempt`, \
             `deadline_us`",
        ),
        (
            r#"{"step":"Load","attempt":1}"#,
            "at byte 13 in `step`: `Load` is not a step id: a lower-case letter, then up to 62 \
             lower-case letters, digits or `_`",
        ),
        (
            r#"{"step":"load","attempt":-1}"#,
            "at byte 26 in `attempt`: invalid value: integer `-1`, expected u32",
        ),
        (
            r#"{"step":"load","attempt":1,"deadline_us":null}"#,
            "at byte 44 in `deadline_us`: invalid type: null, expected i64",
        ),
        (r#"{"step":"load","step":"load"}"#, "at byte 20: duplicate field `step`"),
        (r#"{"step":"load""#, "at byte 13: EOF while parsing an object"),
        (r#"{"step":"load","attempt":1} x"#, "at byte 28: trailing characters"),
        ("", "at byte 0: EOF while parsing a value"),
    ];
    for (payload, expected) in cases {
        assert_eq!(
            refusal::<ExecutionEvent>("StepStarted", payload),
            format!("the payload of StepStarted version 1 is malformed {expected}"),
            "{payload}"
        );
    }
}

#[test]
fn a_place_deep_in_a_definition_is_named() {
    let (_, created) = samples::pipeline().swap_remove(0);
    let payload = String::from_utf8(created.encode().payload).unwrap();
    let place_of = |from: &str, to: &str| {
        let damaged = payload.replacen(from, to, 1);
        assert_ne!(damaged, payload);
        match PipelineEvent::decode("PipelineCreated", 1, damaged.as_bytes()).unwrap_err() {
            DecodeError::Malformed { field, reason, .. } => (field.unwrap(), reason),
            other => panic!("{other}"),
        }
    };
    let (field, reason) = place_of(r#""kind":"command""#, r#""kind":"shell""#);
    assert_eq!(field, "definition.steps[1].kind");
    assert_eq!(reason, "unknown variant `shell`, expected one of `sync`, `command`, `plugin`");
    let (field, _) = place_of(r#""factor":1.5"#, r#""factor":"x""#);
    assert_eq!(field, "definition.steps[0].retry.factor");
    let (field, reason) = place_of(r#""nothing":null"#, r#""nothing":"\ud800""#);
    assert_eq!(field, "definition.document");
    assert!(reason.contains("hex escape"), "{reason}");
}

#[test]
fn hashes_are_lower_case_and_words_are_known() {
    let advanced = |line: &str| {
        let execution = samples::EXECUTION;
        let payload = format!(r#"{{"execution":"{execution}","state":1,"line_sha256":"{line}"}}"#);
        DataStreamEvent::decode("BookmarkAdvanced", 1, payload.as_bytes())
    };
    assert!(advanced(&"ab".repeat(32)).is_ok());
    for wrong in ["AB".repeat(32), "ab".repeat(31), "xy".repeat(32)] {
        let error = advanced(&wrong).unwrap_err().to_string();
        assert!(error.ends_with("expected a SHA-256 hash of 64 lower-case hex digits"), "{error}");
    }
    let failed = r#"{"step":"load","attempt":1,"error":{"reason":"bored","message":"","stderr_tail":[]},"retryable":true}"#;
    let error = refusal::<ExecutionEvent>("StepFailed", failed);
    assert!(error.contains("in `error.reason`: unknown variant `bored`"), "{error}");
    assert!(error.ends_with("or `node_lost`"), "{error}");
}

#[test]
fn an_event_without_fields_has_none() {
    let error = refusal::<PipelineEvent>("PipelineActivated", r#"{"at":1}"#);
    assert!(error.contains("unknown field `at`"), "{error}");
}
