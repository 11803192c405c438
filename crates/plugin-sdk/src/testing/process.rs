//! The process of a plugin that is tested.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use flexcore_plugin_protocol::{
    Capabilities, FirstLine, Handshake, HandshakeOffer, PLUGIN_API, PluginEnvironment, first_line,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
};
use tonic::transport::{Channel, Endpoint};

use super::CallError;

/// How long a plugin may take until it has shaken hands.
const START_LIMIT: Duration = Duration::from_secs(20);
/// As much of stderr as is kept.
const STDERR_KEPT: usize = 16 * 1024;

/// The variable by which a program knows that it is run as a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Default for Cookie {
    fn default() -> Self {
        Self { key: "FLEXCORE_PLUGIN".to_owned(), value: PLUGIN_API.to_owned() }
    }
}

/// Why a plugin did not start.
#[derive(Debug, Error)]
#[error("{what}{}", tail(.stderr))]
pub struct StartError {
    /// What happened.
    pub what: String,
    /// The end of what the program wrote to stderr.
    pub stderr: String,
}

fn tail(stderr: &str) -> String {
    let stderr = stderr.trim_end();
    if stderr.is_empty() { String::new() } else { format!("; on stderr it wrote:\n{stderr}") }
}

/// A process with its private folder.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    folder: Folder,
    socket: PathBuf,
    stderr: Arc<Mutex<Vec<u8>>>,
    /// Reads stderr to its end.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    pub(super) fn start<S: AsRef<str>>(
        argv: &[S],
        cookie: &Cookie,
        environment: &[(&str, &str)],
    ) -> Result<Self, StartError> {
        let failed = |what: String| StartError { what, stderr: String::new() };
        let (program, arguments) =
            argv.split_first().ok_or_else(|| failed("no program was named".to_owned()))?;
        let folder = Folder::make().map_err(|error| failed(format!("no folder: {error}")))?;
        let variables = PluginEnvironment {
            cookie: (&cookie.key, &cookie.value),
            app_versions: &[1],
            socket_folder: &folder.0.to_string_lossy(),
            multiplex: false,
            capabilities: &Capabilities::default(),
        };
        let mut child = Command::new(program.as_ref())
            .args(arguments.iter().map(AsRef::as_ref))
            .env_clear()
            .envs(environment.iter().copied())
            .envs(variables.variables(|_| None))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot start {}: {error}", program.as_ref())))?;
        let stderr = Arc::default();
        let stream = child.stderr.take();
        let reader = stream.map(|stream| tokio::spawn(keep_end(stream, Arc::clone(&stderr))));
        Ok(Self { child, folder, socket: PathBuf::new(), stderr, reader })
    }

    /// Waits for the handshake and connects.
    pub(super) async fn connect(&mut self) -> Result<Channel, StartError> {
        let line = match tokio::time::timeout(START_LIMIT, self.read_line()).await {
            Ok(Ok(line)) => line,
            Ok(Err(what)) => return Err(self.ended(what).await),
            Err(_) => return Err(self.failed(format!("no handshake after {START_LIMIT:?}"))),
        };
        let folder = self.folder.0.to_string_lossy().into_owned();
        let offer = HandshakeOffer { app_versions: &[1], socket_folder: &folder, multiplex: false };
        let handshake = Handshake::parse(&line, offer)
            .map_err(|error| self.failed(format!("its first line is no handshake: {error}")))?;
        self.socket = self.folder.0.join(handshake.socket_name);
        let address = format!("unix://{}", self.socket.display());
        let endpoint = Endpoint::from_shared(address)
            .map_err(|error| self.failed(format!("its socket has no legal name: {error}")))?
            .initial_stream_window_size(16 * 1024 * 1024)
            .initial_connection_window_size(16 * 1024 * 1024);
        endpoint
            .connect()
            .await
            .map_err(|error| self.failed(format!("cannot connect to its socket: {error}")))
    }

    async fn read_line(&mut self) -> Result<Vec<u8>, String> {
        let mut stdout = self.child.stdout.take().ok_or("its stdout is gone")?;
        let mut bytes = Vec::new();
        loop {
            match first_line(&bytes) {
                FirstLine::Complete { line, .. } => {
                    let line = line.to_vec();
                    // What comes later is nobody's business, but must not block the plugin.
                    tokio::spawn(async move {
                        tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await
                    });
                    return Ok(line);
                }
                FirstLine::TooLong => return Err("its first line does not end".to_owned()),
                FirstLine::Incomplete => {}
            }
            match stdout.read_buf(&mut bytes).await {
                Ok(0) => return Err("it ended without a handshake".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("its stdout cannot be read: {error}")),
            }
        }
    }

    /// The program ended by itself: what it said last is there once it is gone.
    async fn ended(&mut self, what: String) -> StartError {
        let status = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await;
        if let Some(reader) = self.reader.take() {
            // Something that it started may hold its stderr open.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        match status {
            Ok(Ok(status)) => self.failed(format!("{what} ({status})")),
            _ => self.failed(what),
        }
    }

    pub(super) fn failed(&self, what: String) -> StartError {
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        StartError { what, stderr: String::from_utf8_lossy(&stderr).into_owned() }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(super) async fn wait(mut self, limit: Duration) -> Result<bool, CallError> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status.is_ok_and(|status| status.success())),
            Err(_) => Err(CallError::Late(limit)),
        }
    }
}

async fn keep_end(mut stream: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&bytes[..read]);
        let surplus = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..surplus);
    }
}

/// A private folder that goes with this.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("flexcore-plugin-{}-{number}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Self(folder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Only sockets are in it; a folder that stays is in the temporary one.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
