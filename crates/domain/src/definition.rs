//! What a pipeline is defined to be: steps, their order, and when they run.

use std::time::Duration;

use serde_json::Value;

use crate::{PipelineName, StepId};

/// One version of a pipeline, as its file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineDefinition {
    /// Its unique name.
    pub name: PipelineName,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepDefinition>,
    /// The whole parsed definition with everything that it refers to in the project file: plain
    /// data, templates unrendered, so that a later process can run exactly this version. The
    /// domain carries it and never looks inside.
    pub document: Value,
}

/// What the domain knows of a step: enough to decide when it runs, nothing of what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDefinition {
    /// Its id.
    pub id: StepId,
    /// What kind of work it is.
    pub kind: StepKind,
    /// The steps that must have ended before this one is decided.
    pub needs: Vec<StepId>,
    /// The ends of its needs with which it runs.
    pub run_on: RunOn,
    /// The condition that is looked at after `run_on` passed.
    pub when: Option<Condition>,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// Whether its failure leaves the execution's outcome alone.
    pub allow_failure: bool,
}

/// The kind of a step: its one kind key in the pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// Moves records from a tap to a target.
    Sync,
    /// Runs a program.
    Command,
    /// Calls a plugin.
    Plugin,
}

impl StepKind {
    /// The word of the pipeline file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Command => "command",
            Self::Plugin => "plugin",
        }
    }

    /// The fields of its output, where they are the same for every step of this kind; `None` where
    /// the step itself decides.
    pub const fn output_fields(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Sync => Some(&["records", "bytes", "rejected", "streams"]),
            Self::Command => None,
            Self::Plugin => Some(&["result", "records"]),
        }
    }
}

/// The ends of a step's needs with which the step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RunOn {
    /// Every need completed or was skipped by its own condition.
    #[default]
    Completed,
    /// At least one direct or indirect need failed.
    Failed,
    /// In every case but cancel.
    Ended,
    /// Only on cancel.
    Cancelled,
}

/// A bare expression and what is known of it without evaluating it against a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The expression's text.
    pub expression: String,
    /// The steps that it reads, each with the output field that it reads, if any.
    pub reads: Vec<StepReference>,
    /// Its value if it reads nothing that can differ between runs.
    pub constant: Option<bool>,
}

/// A place where an expression reads `steps.<step>` or `steps.<step>.output.<field>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReference {
    /// The step's id as written; it need not exist.
    pub step: String,
    /// The field of its output, if one is read.
    pub output_field: Option<String>,
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// How many tries there are in all, at least 1.
    pub attempts: u32,
    /// The wait before the second try.
    pub initial: Duration,
    /// What the wait is multiplied with after each further try, at least 1.
    pub factor: f64,
    /// The longest wait.
    pub max: Duration,
    /// How the wait is spread.
    pub jitter: Jitter,
    /// The errors after which there is another try.
    pub errors: Vec<ErrorClass>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
            jitter: Jitter::Full,
            errors: vec![ErrorClass::Any],
        }
    }
}

/// How the waits between tries are spread, so that many steps do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Exactly the computed wait.
    None,
    /// Anything from nothing to the computed wait.
    Full,
}

/// Classes of errors that a retry policy can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The program ended with a code that does not mean success.
    ExitCode,
    /// A signal that we did not send ended the program.
    Signal,
    /// The attempt ran past its deadline.
    Timeout,
    /// Another system could not be reached.
    Network,
    /// The kernel ended the program for its memory.
    Oom,
    /// The attempt was refused before it began: settings, missing program, missing right.
    Refused,
    /// Any of these.
    Any,
}

impl ErrorClass {
    /// The word of the pipeline file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Oom => "oom",
            Self::Refused => "refused",
            Self::Any => "any",
        }
    }

    /// The class of a word of the pipeline file or of a stored event.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::ExitCode,
            Self::Signal,
            Self::Timeout,
            Self::Network,
            Self::Oom,
            Self::Refused,
            Self::Any,
        ]
        .into_iter()
        .find(|class| class.as_str() == word)
    }
}
