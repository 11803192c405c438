//! What came back from a call.

use flexcore_plugin_protocol::protobuf::v1;
use serde_json::Value;

/// What came back from a call, in the order in which it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestAnswer {
    /// The result of the call as a whole, a JSON text; or why it failed.
    pub outcome: Option<Result<String, TestFailure>>,
    /// The records: their data stream and their text.
    pub lines: Vec<(String, String)>,
    /// The bookmarks, as JSON texts.
    pub bookmarks: Vec<String>,
    /// The lines of the log.
    pub log: Vec<String>,
    /// In how many chunks the records came.
    pub chunks: u64,
}

/// What a plugin says when it could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// What went wrong, for a program.
    pub class: v1::FailureClass,
    /// What went wrong, for a person.
    pub message: String,
}

impl TestAnswer {
    /// The records of a data stream. A number is what a 64-bit float makes of it; `lines` has them
    /// as they came.
    pub fn records(&self, stream: &str) -> Vec<Value> {
        let lines = self.lines.iter().filter(|(name, _)| name == stream);
        lines.map(|(_, line)| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    /// The result of the call; null if it has none or failed.
    pub fn result(&self) -> Value {
        match &self.outcome {
            Some(Ok(output)) => serde_json::from_str(output).unwrap_or_default(),
            _ => Value::Null,
        }
    }

    /// Why the call failed, if it did.
    pub fn failure(&self) -> Option<&TestFailure> {
        self.outcome.as_ref().and_then(|outcome| outcome.as_ref().err())
    }

    /// Whether the call completed.
    pub fn is_completed(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }
}
