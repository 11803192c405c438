//! What a guest may ask of its host, whether it runs in the host's process or in a worker.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The largest body of a request or an answer, in bytes.
pub(crate) const MAX_BODY: usize = 8 << 20;
/// The largest text under one key of the state.
pub(crate) const MAX_STATE_VALUE: usize = 1 << 20;
/// The largest key of the state.
pub(crate) const MAX_STATE_KEY: usize = 256;
/// All texts of the state together.
pub(crate) const MAX_STATE: usize = 8 << 20;

/// What a guest may ask of its host.
#[async_trait]
pub(crate) trait Services: Send + Sync {
    /// Writes a line to the log of the attempt.
    fn log(&self, level: Level, line: &str);

    /// The value of a secret.
    async fn secret(&self, name: &str) -> Result<String, SecretRefusal>;

    /// Sends a request and waits for its answer.
    async fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpRefusal>;
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SecretRefusal {
    Denied,
    Missing,
    Unavailable(String),
}

/// A request; its body travels beside it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) timeout_ms: u32,
    #[serde(skip)]
    pub(crate) body: Vec<u8>,
}

/// An answer; its body travels beside it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    #[serde(skip)]
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HttpRefusal {
    Denied,
    Malformed(String),
    Timeout,
    TooLarge,
    Unreachable(String),
}

/// How much one call may write to the log; the rest is dropped and counted.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines: u32,
    bytes: usize,
    dropped: u64,
}

impl LogBudget {
    /// The longest line.
    pub(crate) const MAX_LINE: usize = 8 << 10;

    pub(crate) const fn new() -> Self {
        Self { lines: 5_000, bytes: 2 << 20, dropped: 0 }
    }

    /// The part of a line that is written, if any is.
    pub(crate) fn admit<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let line = &line[..line.floor_char_boundary(Self::MAX_LINE)];
        if self.lines == 0 || self.bytes < line.len() {
            self.dropped += 1;
            return None;
        }
        self.lines -= 1;
        self.bytes -= line.len();
        Some(line)
    }

    /// What to say at the end of the call.
    pub(crate) fn remark(&self) -> Option<String> {
        (self.dropped > 0).then(|| format!("{} more lines were dropped", self.dropped))
    }
}
