//! What goes into a guest.

use serde_json::Value;

use crate::task::{Failure, FailureKind, Payload, State};

/// The data stream of records that a step hands over.
const INPUT: &str = "input";
/// About how many bytes of records one call is given; more are several calls of one instance.
const BATCH: usize = 4 << 20;
/// The largest record.
const MAX_RECORD: usize = 12 << 20;

/// An array is records, in as many parts as it takes; anything else is one part.
pub(super) fn payloads(input: &Value) -> Result<Vec<Payload>, Failure> {
    let records = match input {
        Value::Null => return Ok(vec![Payload::None]),
        Value::Array(records) => records,
        other => return Ok(vec![Payload::Bytes(other.to_string().into_bytes())]),
    };
    let (mut payloads, mut batch, mut size) = (Vec::new(), Vec::new(), 0);
    for (index, record) in records.iter().enumerate() {
        let json = record.to_string();
        if json.len() > MAX_RECORD {
            let message = format!(
                "record {index} of the input has {} bytes, more than WebAssembly is given in one call (12 MiB)",
                json.len()
            );
            return Err(Failure::new(FailureKind::Data, message));
        }
        if size + json.len() > BATCH && !batch.is_empty() {
            payloads.push(Payload::Records(std::mem::take(&mut batch)));
            size = 0;
        }
        size += json.len();
        batch.push((INPUT.to_owned(), json));
    }
    payloads.push(Payload::Records(batch));
    Ok(payloads)
}

/// What the plugin kept: a JSON object of texts.
pub(super) fn state(text: Option<&str>) -> Result<State, Failure> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(State::new()) };
    serde_json::from_str(text).map_err(|_| {
        let message = "what it kept is not an object of texts, so another kind of plugin kept it; reset its state";
        Failure::new(FailureKind::Configuration, message)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_records_are_several_parts() {
        let input = Value::Array(vec![json!({ "text": "x".repeat(1 << 20) }); 9]);
        let payloads = payloads(&input).unwrap();
        let count = |payload: &Payload| match payload {
            Payload::Records(records) => records.len(),
            _ => 0,
        };
        assert_eq!(payloads.iter().map(count).collect::<Vec<_>>(), [3, 3, 3]);
    }

    #[test]
    fn what_is_no_array_is_parameters() {
        assert_eq!(payloads(&Value::Null).unwrap(), [Payload::None]);
        assert_eq!(payloads(&json!([])).unwrap(), [Payload::Records(vec![])]);
        assert_eq!(payloads(&json!({"a": 1})).unwrap(), [Payload::Bytes(b"{\"a\":1}".to_vec())]);
        let large = json!(["x".repeat(13 << 20)]);
        assert_eq!(payloads(&large).unwrap_err().kind, FailureKind::Data);
    }

    #[test]
    fn only_an_object_of_texts_is_state() {
        assert_eq!(state(None).unwrap(), State::new());
        assert_eq!(state(Some("{\"a\":\"b\"}")).unwrap().get("a").map(String::as_str), Some("b"));
        for text in ["[]", "{\"a\":1}", "x"] {
            assert_eq!(state(Some(text)).unwrap_err().kind, FailureKind::Configuration);
        }
    }
}
