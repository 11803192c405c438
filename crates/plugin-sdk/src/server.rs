//! The process around a plugin: handshake, socket, services, end.

use std::{
    io::{self, Write},
    os::unix::net::UnixListener as StdListener,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};
use tokio_stream::wrappers::UnixListenerStream;

use crate::{
    Plugin,
    dispatch::Dispatch,
    ending::Ending,
    environment::{Environment, EnvironmentError},
};

/// How long connections may take to close once the plugin let go.
const CLOSE_GRACE: Duration = Duration::from_millis(200);
/// HTTP/2 windows: as much as the credit of an execution, so that only credit holds a host back.
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// A plugin that is about to be served.
#[derive(Debug)]
pub struct Server<P> {
    plugin: P,
    cookie: (String, String),
    threads: usize,
}

/// Serves a plugin until the host ends it: the whole of a plugin's `main`.
///
/// Started by hand, without a host, the program says what it is and how to try it.
pub fn serve<P: Plugin>(plugin: P) -> ExitCode {
    Server::new(plugin).run()
}

impl<P: Plugin> Server<P> {
    /// With the cookie that FlexCore gives unless the manifest says otherwise, on one thread.
    pub fn new(plugin: P) -> Self {
        Self {
            plugin,
            cookie: ("FLEXCORE_PLUGIN".to_owned(), flexcore_plugin_protocol::PLUGIN_API.to_owned()),
            threads: 1,
        }
    }

    /// With the cookie of the manifest's `[grpc] magic_cookie`.
    pub fn cookie(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.cookie = (key.into(), value.into());
        self
    }

    /// On this many threads, for plugins that carry out several calls at a time and compute much.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Serves until the host ends it.
    pub fn run(self) -> ExitCode {
        let info = self.plugin.info();
        match self.try_run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Nobody is left to tell if stderr is closed.
                let _ = writeln!(io::stderr(), "{} {}: {error}", info.name, info.version);
                ExitCode::FAILURE
            }
        }
    }

    fn try_run(self) -> Result<(), ServeError> {
        let environment = Environment::read(&self.cookie, |name| std::env::var_os(name))?;
        let socket = Socket::bind(&environment.socket_folder)?;
        let mut builder = if self.threads > 1 {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        let runtime = builder
            .worker_threads(self.threads)
            .enable_all()
            .build()
            .map_err(ServeError::Runtime)?;
        let served = runtime.block_on(serve_on(socket, Arc::new(self.plugin)));
        // Blocking work of the author's may hang; the process ends nevertheless.
        runtime.shutdown_background();
        served
    }
}

async fn serve_on<P: Plugin>(mut socket: Socket, plugin: Arc<P>) -> Result<(), ServeError> {
    let ending = Arc::new(Ending::new());
    // Whoever interrupts the host means the host, which ends its plugins itself.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let listener = socket.listener()?;
    announce(&socket.path).map_err(ServeError::Announce)?;

    let services = Dispatch::new(Arc::clone(&plugin), Arc::clone(&ending));
    let end = Arc::clone(&ending);
    let server = tonic::transport::Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .serve_with_incoming_shutdown(services, UnixListenerStream::new(listener), async move {
            end.wait().await;
        });
    let signals = async {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => ending.begin(plugin.shutdown(), None).await,
            }
        }
    };
    let end = async {
        ending.wait().await;
        tokio::time::sleep(CLOSE_GRACE).await;
    };
    tokio::select! {
        result = server => result.map_err(ServeError::Serve),
        () = signals => Ok(()),
        () = end => Ok(()),
    }
}

/// The handshake: the one line of go-plugin that says where the plugin listens.
fn announce(socket: &Path) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "1|1|unix|{}|grpc", socket.display())?;
    stdout.flush()
}

/// The plugin's socket, whose file goes with it.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
    listener: Option<StdListener>,
}

impl Socket {
    /// Binds a name that is not taken. In a jail every process may have the same id, so a folder
    /// that is shared needs more than that.
    fn bind(folder: &Path) -> Result<Self, ServeError> {
        const TRIES: u32 = 100;
        let pid = std::process::id();
        for number in 0..TRIES {
            let path = folder.join(format!("plugin-{pid}-{number}"));
            match StdListener::bind(&path) {
                Ok(listener) => return Ok(Self { path, listener: Some(listener) }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(source) => return Err(ServeError::Bind { path, source }),
            }
        }
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        Err(ServeError::Bind { path: folder.to_owned(), source })
    }

    fn listener(&mut self) -> Result<UnixListener, ServeError> {
        let failed = |source| ServeError::Bind { path: self.path.clone(), source };
        let listener =
            self.listener.take().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        listener.set_nonblocking(true).map_err(failed)?;
        UnixListener::from_std(listener).map_err(failed)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The host removes the folder anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Why a plugin does not serve.
#[derive(Debug, Error)]
enum ServeError {
    #[error("{0}")]
    Environment(#[from] EnvironmentError),
    #[error("cannot listen on {}: {source}", path.display())]
    Bind { path: PathBuf, source: io::Error },
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    #[error("cannot write the handshake to stdout: {0}")]
    Announce(io::Error),
    #[error("the server failed: {0}")]
    Serve(tonic::transport::Error),
}
