//! What the operator decides for all plugins of this kind.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use flexcore_plugin_protocol::ContentDigest;
use flexcore_sandbox::SandboxPolicy;

use crate::{CompileBudget, WORKER};

/// What holds for every plugin that a [`WasmHost`](crate::WasmHost) calls.
#[derive(Debug, Clone)]
pub struct WasmOptions {
    /// Where compiled code and the key that authenticates it lie.
    pub state_folder: PathBuf,
    /// Where private folders of plugins are made; removed at their end.
    pub run_folder: PathBuf,
    /// The program of workers, which begins with [`run_if_worker`](crate::run_if_worker).
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// How much of a jail must be enforced.
    pub policy: SandboxPolicy,
    /// Folders that no plugin may see, such as `.flexcore`.
    pub hidden: Vec<PathBuf>,
    /// The host's environment, of which plugins may be granted single variables.
    pub environment: Vec<(OsString, OsString)>,
    /// The plugins that the operator trusts to run in this process, if their manifests ask for it.
    /// All others run in workers.
    pub in_process: Vec<ContentDigest>,
    /// How many calls of one plugin in this process run at one time.
    pub calls_in_process: u32,
    /// What compiling one plugin may take.
    pub compile: CompileBudget,
    /// The memory of one call, where limits do not say.
    pub memory_bytes: u64,
    /// What one call may hand over in bytes, where limits do not say.
    pub output_bytes: u64,
    /// How long a plugin may take until it can be called, where its limits do not say.
    pub start: Duration,
    /// How long a plugin may take for an answer that is not an execution.
    pub answer: Duration,
    /// How long a worker may take to end a call that ran out of time or was cancelled, before it is
    /// killed.
    pub stop: Duration,
}

impl WasmOptions {
    /// The usual: best effort, nothing in this process, 256 MiB for a call, 64 MiB for its answer.
    pub fn new(state_folder: &Path, executable: &Path) -> Self {
        Self {
            state_folder: state_folder.to_owned(),
            run_folder: state_folder.join("wasm-run"),
            executable: executable.to_owned(),
            arguments: vec![WORKER.into()],
            policy: SandboxPolicy::default(),
            hidden: Vec::new(),
            environment: Vec::new(),
            in_process: Vec::new(),
            calls_in_process: 16,
            compile: CompileBudget::default(),
            memory_bytes: 256 << 20,
            output_bytes: 64 << 20,
            start: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            stop: Duration::from_secs(2),
        }
    }
}
