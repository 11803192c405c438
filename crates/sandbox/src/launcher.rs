//! The server's side of the launcher.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Mutex, RwLock},
};

use crate::{
    IsolationPolicy, LauncherLockError, SpawnError, SpawnRequest, Spawned, channel,
    daemon::LAUNCHER_ARGUMENT,
    lock,
    spawn::{self, Wire as _},
    wire::{Deadline, monotonic_now},
};

/// What a launcher is started with.
#[derive(Debug, Clone)]
pub struct LauncherOptions {
    /// The executable whose `main` calls [`crate::run_if_launcher`] first; `/proc/self/exe` for the
    /// running one, even after its file was replaced.
    pub executable: PathBuf,
    /// The lock file, held while the launcher or any process below it may be alive.
    pub lock_path: PathBuf,
    /// How long to wait for the launcher of an earlier run to finish ending its processes.
    pub lock_patience: Duration,
    /// The launcher's whole environment. Programs do not inherit it, but a program with the rights
    /// to can read it, so it should hold nothing that it does not need.
    pub environment: Vec<(OsString, OsString)>,
    /// The isolation to begin with.
    pub isolation: IsolationPolicy,
}

/// Why a launcher could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// Its lock is not free.
    #[error("cannot start the launcher")]
    Lock(#[from] LauncherLockError),
    /// The executable cannot be started.
    #[error("cannot start the launcher {executable}")]
    Start {
        /// The executable.
        executable: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a socket to it.
    #[error("cannot make a socket to the launcher; check the limit on open files (`ulimit -n`)")]
    Socket(#[source] io::Error),
}

/// The launcher died; its attempts have been ended with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the launcher process was ended from outside (by the kernel for lack of memory, or by hand)"
)]
pub struct LauncherGone;

/// A handle to a running launcher: cheap to clone; the launcher ends, and with it every process
/// that it started, when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Launcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: LauncherOptions,
    connection: RwLock<Option<Connection>>,
    /// The deadline that every launcher of this handle is given.
    deadline: Mutex<Deadline>,
}

/// A launcher process and the socket to it.
#[derive(Debug)]
struct Connection {
    socket: AsyncFd<OwnedFd>,
    process: Child,
}

impl Launcher {
    /// Starts a launcher. Must be called in a tokio runtime with I/O and time enabled.
    pub async fn start(options: LauncherOptions) -> Result<Self, LauncherError> {
        let connection = Connection::open(&options).await?;
        let inner = Inner {
            options,
            connection: RwLock::new(Some(connection)),
            deadline: Mutex::new(Deadline(None)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Has the launcher kill everything that it started and end at `deadline`, unless another one
    /// is set before; `None` takes it back. The launcher watches the time itself, so that it holds
    /// even while this process is stopped. Orders after it are refused.
    pub async fn end_all_at(&self, deadline: Option<Instant>) {
        let from_now = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let deadline = Deadline(deadline.map(|deadline| monotonic_now() + from_now(deadline)));
        *self.inner.deadline.lock().await = deadline;
        if let Some(connection) = self.inner.connection.read().await.as_ref() {
            // A launcher that is gone has nothing to end; the next one is told when it starts.
            let _ = connection.send(&deadline.encode(), &[]).await;
        }
    }

    /// Starts a program and returns once it runs. If the launcher has died since, a new one is
    /// started for it.
    ///
    /// # Errors
    /// [`SpawnError`] says what is wrong with the request, the machine, or the launcher.
    pub async fn spawn(&self, request: SpawnRequest) -> Result<Spawned, SpawnError> {
        let request = spawn::Prepared::new(request)?;
        if let Some(outcome) = self.spawn_with_current(&request).await {
            return outcome;
        }
        self.restart().await?;
        self.spawn_with_current(&request).await.unwrap_or(Err(LauncherGone.into()))
    }

    /// Gives an order to the launcher as it is.
    pub(crate) async fn deliver(
        &self,
        request: &spawn::Prepared,
        further: &[BorrowedFd<'_>],
    ) -> Result<spawn::Delivered, SpawnError> {
        let connection = self.inner.connection.read().await;
        request.deliver(connection.as_ref().ok_or(LauncherGone)?, further).await
    }

    /// `None` if the launcher is gone.
    async fn spawn_with_current(
        &self,
        request: &spawn::Prepared,
    ) -> Option<Result<Spawned, SpawnError>> {
        let connection = self.inner.connection.read().await;
        match request.send(connection.as_ref()?).await {
            Err(SpawnError::LauncherGone(_)) => None,
            outcome => Some(outcome),
        }
    }

    /// Starts another launcher if this one is gone.
    pub(crate) async fn restart(&self) -> Result<(), SpawnError> {
        let mut connection = self.inner.connection.write().await;
        match connection.as_mut().map(|connection| connection.process.try_wait()) {
            // After a shutdown, on purpose.
            None => return Err(LauncherGone.into()),
            // Another caller was faster.
            Some(Ok(None)) if connection.as_ref().is_some_and(Connection::is_open) => return Ok(()),
            Some(_) => {}
        }
        tracing::warn!("the launcher was ended from outside; starting another");
        let opened = Connection::open(&self.inner.options).await?;
        let deadline = *self.inner.deadline.lock().await;
        // A launcher that is gone already is found out by the order that follows.
        let _ = opened.send(&deadline.encode(), &[]).await;
        *connection = Some(opened);
        Ok(())
    }

    /// Ends every process that this launcher started, then the launcher, and returns when its lock
    /// is free. Handles that are left can spawn nothing more.
    pub async fn shut_down(&self) {
        let Some(Connection { socket, mut process }) = self.inner.connection.write().await.take()
        else {
            return;
        };
        drop(socket);
        let waited = tokio::task::spawn_blocking(move || process.wait()).await;
        if !matches!(waited, Ok(Ok(_))) {
            tracing::warn!("could not wait for the launcher to end");
        }
    }
}

impl Connection {
    async fn open(options: &LauncherOptions) -> Result<Self, LauncherError> {
        let mut lock = lock::acquire(&options.lock_path, options.lock_patience).await?;
        let in_child = lock.try_clone().map_err(LauncherError::Socket)?;
        let socket_failed = |errno: Errno| LauncherError::Socket(errno.into());
        let (here, there) = channel::pair().map_err(socket_failed)?;
        let process = Command::new(&options.executable)
            .arg0("flexcore")
            .arg(LAUNCHER_ARGUMENT)
            .arg(options.isolation.as_str())
            .env_clear()
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(there))
            .stdout(Stdio::from(in_child))
            .spawn()
            .map_err(|source| LauncherError::Start {
                executable: options.executable.clone(),
                source,
            })?;
        lock::note_holder(&mut lock, process.id());
        let socket = channel::register(here).map_err(LauncherError::Socket)?;
        Ok(Self { socket, process })
    }

    /// Whether the launcher still holds its end.
    fn is_open(&self) -> bool {
        let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::PEEK;
        matches!(channel::receive(&self.socket, &mut [0; 1], flags), Err(Errno::AGAIN))
    }
}

impl spawn::Wire for Connection {
    async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                channel::send(socket.as_fd(), bytes, descriptors).map_err(io::Error::from)
            })
            .await
    }
}
