//! How requests are treated.

use std::time::Duration;

use crate::rate::Rate;

/// What a request may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestOptions {
    /// The largest body, in bytes.
    pub body: usize,
    /// How long a client may take to send a body.
    pub body_patience: Duration,
    /// How long an answer may take. Live streams are not answers in this sense.
    pub patience: Duration,
    /// How long a request may ask to wait for something to happen.
    pub longest_wait: Duration,
    /// How many requests one caller may send; `None`: as many as the machine can take.
    pub rate: Option<Rate>,
    /// The origins whose pages may use the server, besides its own.
    pub origins: Vec<String>,
    /// How many live streams there are at most.
    pub watchers: usize,
    /// How long a watcher may take none of what waits for it.
    pub watcher_patience: Duration,
    /// A sign of life goes to a watcher after so long a silence.
    pub heartbeat: Duration,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            body_patience: Duration::from_secs(20),
            patience: Duration::from_secs(30),
            longest_wait: Duration::from_mins(1),
            rate: None,
            origins: vec![],
            watchers: 5_000,
            watcher_patience: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}
