//! What the operator decides for all plugins of this kind.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use flexcore_sandbox::{Limits, SandboxPolicy};

/// What holds for every plugin that a [`ProcessHost`](crate::ProcessHost) starts.
#[derive(Debug, Clone)]
pub struct ProcessOptions {
    /// Where the private folders of running plugins are made, one for each, removed at its end. Its
    /// path must be short: a socket's whole path has 107 bytes. Not below `/dev/shm`, which jails
    /// have as another name of their own `/tmp`.
    pub run_folder: PathBuf,
    /// How much of a jail must be enforced.
    pub policy: SandboxPolicy,
    /// The limits of a plugin whose manifest says nothing.
    pub limits: Limits,
    /// Folders that no plugin may see, such as `.flexcore`.
    pub hidden: Vec<PathBuf>,
    /// The home folder of the person for whom plugins run, of which as little as possible is shown:
    /// an interpreter may lie there.
    pub home: Option<PathBuf>,
    /// Where a plugin finds the programs of the machine, and what else of the host's environment it
    /// may be granted.
    pub environment: Vec<(OsString, OsString)>,
    /// The version of this host, for plugins' logs.
    pub host_version: String,
    /// How long a plugin may take until it can be called, where its limits do not say.
    pub start: Duration,
    /// How long a plugin may take for an answer that is not an execution.
    pub answer: Duration,
    /// How long a plugin may take to end after it was asked to.
    pub stop: Duration,
    /// How long a call waits for a free process.
    pub wait: Duration,
    /// How many calls wait for a free process of one plugin at most.
    pub max_waiting: usize,
    /// How often a waiting process is asked whether it is well.
    pub health_interval: Duration,
    /// How long a process waits for work that `min_idle` does not ask for.
    pub keep_idle: Duration,
    /// What one execution may hand over in bytes, where limits do not say.
    pub output_bytes: u64,
}

impl ProcessOptions {
    /// The usual: best effort, ten seconds to start and to answer, two to stop.
    pub fn new(run_folder: impl Into<PathBuf>) -> Self {
        Self {
            run_folder: run_folder.into(),
            policy: SandboxPolicy::default(),
            limits: Limits::default(),
            hidden: Vec::new(),
            home: None,
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            start: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            stop: Duration::from_secs(2),
            wait: Duration::from_mins(1),
            max_waiting: 1024,
            health_interval: Duration::from_secs(5),
            keep_idle: Duration::from_mins(1),
            output_bytes: 64 << 20,
        }
    }
}
