//! What a guest's answer means to the core.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flexcore_plugin_protocol::Manifest;
use flexcore_ports::{ConfigProblem, PluginDescription, PluginOutput, PluginSchema};
use serde_json::{Value, json};

use crate::task::{Answer, Failure, FailureKind, Payload, State};

fn wrong(what: &str) -> Failure {
    Failure::new(FailureKind::Answer, what)
}

/// What it is; it must be what its manifest says.
pub(super) fn description(
    answer: Answer,
    manifest: &Manifest,
) -> Result<PluginDescription, Failure> {
    let Answer::Description(said) = answer else { return Err(wrong("it does not say what it is")) };
    for (what, said, expected) in
        [("name", &said.name, &manifest.name), ("version", &said.version, &manifest.version)]
    {
        if let Some(said) = said
            && said != expected
        {
            let said: String = said.chars().take(100).collect();
            let message = format!(
                "it says that its {what} is `{said}`, and its manifest says `{expected}`; correct one of them"
            );
            return Err(Failure::new(FailureKind::Mismatch, message));
        }
    }
    Ok(PluginDescription {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        detail: said.detail,
    })
}

pub(super) fn problems(answer: Answer) -> Result<Vec<ConfigProblem>, Failure> {
    let Answer::Problems(problems) = answer else { return Err(wrong("it does not validate")) };
    let problem = |(pointer, message)| ConfigProblem { pointer, message, warning: false };
    Ok(problems.into_iter().map(problem).collect())
}

pub(super) fn schema(answer: Answer) -> Result<PluginSchema, Failure> {
    let Answer::Schema(schema) = answer else { return Err(wrong("it has no schema")) };
    let config = schema.map(|text| serde_json::from_str(&text)).transpose();
    let config = config
        .map_err(|error| wrong(&format!("the schema of its settings is no JSON ({error})")))?;
    Ok(PluginSchema { config, data_streams: Vec::new() })
}

pub(super) fn output(
    answer: Answer,
    state: &State,
    had_state: bool,
) -> Result<PluginOutput, Failure> {
    let Answer::Output(payloads) = answer else { return Err(wrong("it gave no output")) };
    let mut output = PluginOutput::default();
    for payload in payloads {
        match payload {
            Payload::None => {}
            Payload::Bytes(bytes) => output.result = Some(value_of(bytes)),
            Payload::Records(records) => {
                for (name, json) in records {
                    add(&mut output.records, name, &json)?;
                }
            }
        }
    }
    if had_state || !state.is_empty() {
        output.state = Some(json!(state).to_string());
    }
    Ok(output)
}

fn add(records: &mut Vec<(String, Vec<Value>)>, name: String, json: &str) -> Result<(), Failure> {
    let record: Value = serde_json::from_str(json).map_err(|error| {
        let name: String = name.chars().take(100).collect();
        wrong(&format!("a record of its data stream `{name}` is no JSON ({error})"))
    })?;
    if !record.is_object() {
        let name: String = name.chars().take(100).collect();
        return Err(wrong(&format!("a record of its data stream `{name}` is no JSON object")));
    }
    // Records of one data stream mostly come one after the other.
    match records.iter_mut().rev().find(|(known, _)| *known == name) {
        Some((_, known)) => known.push(record),
        None => records.push((name, vec![record])),
    }
    Ok(())
}

/// JSON as it is; other text as a text; other bytes as base64.
fn value_of(bytes: Vec<u8>) -> Value {
    if let Ok(value) = serde_json::from_slice(&bytes) {
        return value;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Value::String(text),
        Err(error) => json!({ "base64": BASE64_STANDARD.encode(error.as_bytes()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, json: &str) -> (String, String) {
        (name.to_owned(), json.to_owned())
    }

    #[test]
    fn records_are_gathered_by_data_stream() {
        let answer = Answer::Output(vec![
            Payload::Records(vec![record("b", "{\"n\":1}"), record("a", "{\"n\":2}")]),
            Payload::Records(vec![record("b", "{\"n\":3}")]),
        ]);
        let output = output(answer, &State::new(), false).unwrap();
        let expected = vec![
            ("b".to_owned(), vec![json!({"n": 1}), json!({"n": 3})]),
            ("a".to_owned(), vec![json!({"n": 2})]),
        ];
        assert_eq!((output.records, output.state), (expected, None));
    }

    #[test]
    fn records_that_are_no_objects_are_refused() {
        for json in ["", "1", "[]", "{", "{} {}"] {
            let answer = Answer::Output(vec![Payload::Records(vec![record("a", json)])]);
            let failure = output(answer, &State::new(), false).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Answer, "{json}");
        }
    }

    #[test]
    fn bytes_are_json_or_text_or_base64() {
        assert_eq!(value_of(b"{\"a\":1}".to_vec()), json!({"a": 1}));
        assert_eq!(value_of(b"hello".to_vec()), json!("hello"));
        assert_eq!(value_of(vec![0xff]), json!({"base64": "/w=="}));
    }
}
