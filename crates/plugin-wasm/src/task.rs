//! What a guest is asked and what comes of it, in the form that both sides of a worker know.

use serde::{Deserialize, Serialize};

/// One call of a guest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// What is wanted of it.
    pub(crate) question: Question,
    /// The id of the execution.
    pub(crate) id: String,
    /// The settings, a JSON object.
    pub(crate) config: String,
    /// What it kept: texts by name.
    pub(crate) state: State,
    /// What it may use.
    pub(crate) bounds: Bounds,
}

/// What it kept: texts by name.
pub(crate) type State = std::collections::BTreeMap<String, String>;

/// What is wanted of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// What it is.
    Describe,
    /// The schema of its settings.
    Schema,
    /// What is wrong with settings.
    Validate,
    /// To do its work; empty for the usual one.
    Execute(String),
}

/// What one call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// The memory of the guest, in bytes.
    pub(crate) memory: u64,
    /// Instructions, if they are counted.
    pub(crate) fuel: Option<u64>,
    /// All that it may hand over, in bytes.
    pub(crate) output: u64,
    /// How long it may take, in milliseconds.
    pub(crate) time_ms: Option<u64>,
}

/// What goes in or comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Nothing.
    None,
    /// Records: data stream and JSON text.
    Records(Vec<(String, String)>),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Payload {
    /// About how many bytes it takes to hand it over.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Records(records) => {
                records.iter().map(|(name, json)| name.len() + json.len() + 8).sum()
            }
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// What a guest answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What it is.
    Description(Description),
    /// The schema of its settings, if it has one.
    Schema(Option<String>),
    /// What is wrong with settings: pointer and message.
    Problems(Vec<(String, String)>),
    /// Its output, in order.
    Output(Vec<Payload>),
}

/// What a guest says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Its name, if it says so.
    pub(crate) name: Option<String>,
    /// Its version, if it says so.
    pub(crate) version: Option<String>,
    /// What it is for.
    pub(crate) detail: String,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(crate) struct Finish {
    /// What came of it.
    pub(crate) outcome: Result<Answer, Failure>,
    /// What it wants to find at its next call.
    pub(crate) state: State,
}

/// Why a guest gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// What kind of failure it is.
    pub(crate) kind: FailureKind,
    /// What happened and what to do, for a person.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kinds of failure; each has a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// The file is no component or module that can be used.
    NotWasm,
    /// It is too much to compile.
    TooLarge,
    /// It imports what nobody offers.
    Import,
    /// It trapped.
    Trap,
    /// It used all its time or instructions.
    Time,
    /// It used all its memory.
    Memory,
    /// Its answer is too large, or is none.
    Answer,
    /// It says that its settings are wrong.
    Configuration,
    /// It says that its data is wrong.
    Data,
    /// It says that another system could not be reached.
    Network,
    /// It says that it made a mistake.
    Internal,
    /// Its worker could not be started, or ended.
    Worker,
    /// It is not what its manifest says, or has no such operation.
    Mismatch,
    /// The folder of compiled code cannot be used.
    Cache,
    /// The caller ended it.
    Cancelled,
}
