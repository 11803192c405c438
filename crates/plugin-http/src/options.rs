//! What holds for all services.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use flexcore_ports::Secrets;

/// How services are called.
#[derive(Clone)]
pub struct HttpOptions {
    /// Where the values come from with which FlexCore shows who it is.
    pub secrets: Arc<dyn Secrets>,
    /// A file with certificates (PEM) of authorities that are trusted besides those of the system.
    pub authorities: Option<PathBuf>,
    /// How long a connection may take to come about, TLS included.
    pub connect: Duration,
    /// How long a service may take to say how it is, what its schemas are and whether settings are
    /// right, where its limits do not say it (`start`).
    pub ask: Duration,
    /// How long a call may take, where nothing else says it (`execute`).
    pub execute: Duration,
    /// How long a service has to take note of a cancel.
    pub cancel: Duration,
    /// The largest request, in bytes.
    pub max_request: u64,
    /// The largest answer, in bytes, where its limits do not say it (`output_bytes`).
    pub max_answer: u64,
    /// The largest line of a streamed answer, in bytes, where its limits do not say it
    /// (`max_frame`).
    pub max_line: u64,
}

impl HttpOptions {
    /// The usual bounds.
    pub fn new(secrets: Arc<dyn Secrets>) -> Self {
        Self {
            secrets,
            authorities: None,
            connect: Duration::from_secs(10),
            ask: Duration::from_secs(10),
            execute: Duration::from_mins(10),
            cancel: Duration::from_secs(5),
            max_request: 64 << 20,
            max_answer: 256 << 20,
            max_line: 16 << 20,
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HttpOptions").finish_non_exhaustive()
    }
}
