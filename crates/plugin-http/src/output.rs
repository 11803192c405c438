//! What a service answers to a call: one document, or lines as they come.

use flexcore_ports::{AttemptLog, LogSource, PluginOutput};
use serde_json::{Map, Value};

use crate::{
    exchange::{Answer, Form},
    fault::Fault,
    problem,
};

/// Reads the answer to a call to its end.
pub(crate) async fn read(
    answer: Answer<'_>,
    max_line: u64,
    log: &dyn AttemptLog,
) -> Result<PluginOutput, Fault> {
    match answer.form()? {
        Form::Json => document(answer.json().await?),
        Form::Lines => lines(answer, max_line, log).await,
    }
}

fn document(answer: Value) -> Result<PluginOutput, Fault> {
    let Value::Object(mut answer) = answer else {
        return Err(Fault::unusable("it is no JSON object"));
    };
    let mut output = PluginOutput { state: state(&mut answer)?, ..PluginOutput::default() };
    output.result = answer.remove("result").filter(|result| !result.is_null());
    match answer.remove("records") {
        None | Some(Value::Null) => {}
        Some(Value::Object(streams)) => {
            for (stream, records) in streams {
                let Value::Array(records) = records else {
                    return Err(Fault::unusable("`records` has something else than arrays"));
                };
                output.records.push((stream, records));
            }
        }
        Some(_) => return Err(Fault::unusable("`records` is no object of data streams")),
    }
    Ok(output)
}

/// A state is a JSON document of the service's own; it gets back what it gave.
fn state(answer: &mut Map<String, Value>) -> Result<Option<String>, Fault> {
    match answer.remove("state") {
        None | Some(Value::Null) => Ok(None),
        Some(state @ (Value::Object(_) | Value::Array(_))) => Ok(Some(state.to_string())),
        Some(_) => Err(Fault::unusable("`state` is neither an object nor an array")),
    }
}

async fn lines(
    mut answer: Answer<'_>,
    max_line: u64,
    log: &dyn AttemptLog,
) -> Result<PluginOutput, Fault> {
    let mut reader = Lines { output: PluginOutput::default(), ended: false, number: 0 };
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        for piece in chunk.as_ref().split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(piece);
            if pending.len() as u64 > max_line {
                return Err(Fault::TooLarge {
                    what: "a line of its answer",
                    limit: max_line,
                    hint: "`max_frame` in its limits says how many it may have",
                    is_answer: true,
                });
            }
            if pending.last() == Some(&b'\n') {
                reader.line(&pending, log)?;
                pending.clear();
            }
        }
    }
    reader.line(&pending, log)?;
    if reader.ended {
        Ok(reader.output)
    } else {
        Err(Fault::unusable("it ends before its `result`; half an answer is none"))
    }
}

/// What the lines so far say.
struct Lines {
    output: PluginOutput,
    ended: bool,
    number: u64,
}

impl Lines {
    fn line(&mut self, line: &[u8], log: &dyn AttemptLog) -> Result<(), Fault> {
        self.number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let wrong = |what: &str| Fault::unusable(format!("line {}: {what}", self.number));
        if self.ended {
            return Err(wrong("something follows its `result`"));
        }
        let message: Value =
            serde_json::from_slice(line).map_err(|error| wrong(&error.to_string()))?;
        let Value::Object(mut message) = message else { return Err(wrong("it is no JSON object")) };
        let text = |message: &Map<String, Value>, key: &str| {
            message.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        match text(&message, "type").as_deref() {
            Some("record") => {
                let stream = text(&message, "data_stream")
                    .ok_or_else(|| wrong("a record has no `data_stream`"))?;
                let record =
                    message.remove("record").ok_or_else(|| wrong("a record has no `record`"))?;
                self.record(stream, record);
            }
            Some("log") => {
                let level = text(&message, "level").unwrap_or_else(|| "info".to_owned());
                let said = text(&message, "message").unwrap_or_default();
                log.line(LogSource::Stderr, &format!("{level}: {said}"));
            }
            Some("result") => {
                self.output.state = state(&mut message)?;
                self.output.result = message.remove("result").filter(|result| !result.is_null());
                self.ended = true;
            }
            Some("error") => {
                let what = problem::text(&Value::Object(message));
                let what = what.unwrap_or_else(|| "it does not say why".to_owned());
                return Err(Fault::Refused { status: None, what });
            }
            _ => return Err(wrong("its `type` is none of `record`, `log`, `result` and `error`")),
        }
        Ok(())
    }

    fn record(&mut self, stream: String, record: Value) {
        // Records of one data stream mostly come together.
        match self.output.records.iter_mut().rev().find(|(name, _)| *name == stream) {
            Some((_, records)) => records.push(record),
            None => self.output.records.push((stream, vec![record])),
        }
    }
}
