//! Which server, as whom, and how patiently.

use std::{path::PathBuf, time::Duration};

use crate::ApiKey;

/// How a client reaches its server.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The server's URL, such as `https://flexcore.example.org`; a path is taken as the place below
    /// which a proxy has it.
    pub server: String,
    /// What the client shows; none to ask what is open to everybody.
    pub key: Option<ApiKey>,
    /// Who is trusted, and who the client is, in TLS.
    pub tls: ClientTls,
    /// How long one try of a request may take, answer included.
    pub timeout: Duration,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// How often something is sent again at most.
    pub retries: u32,
    /// How long a live stream may be without a word before it is begun anew.
    pub silence: Duration,
}

/// TLS of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// A PEM file with authorities that are trusted besides those of the system.
    pub authorities: Option<PathBuf>,
    /// PEM files of the client's own certificate and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientOptions {
    /// A server, with what suits most callers.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            key: None,
            tls: ClientTls::default(),
            timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            retries: 4,
            silence: Duration::from_secs(45),
        }
    }
}
