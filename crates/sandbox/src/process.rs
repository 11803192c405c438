//! A program that runs.

use std::{
    io,
    os::fd::OwnedFd,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::RecvFlags,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::OnceCell,
};

use crate::{
    ExitStatus, Isolation, channel,
    wire::{Demand, REPORT_LENGTH, Report},
};

/// A program that was just started, and the server's ends of its standard streams, in blocking
/// mode and closed on exec.
#[derive(Debug)]
pub struct Spawned {
    /// The program.
    pub process: Process,
    /// Where its standard input comes from, if a pipe was asked for.
    pub stdin: Option<OwnedFd>,
    /// Where its standard output goes.
    pub stdout: OwnedFd,
    /// Where its standard error goes.
    pub stderr: OwnedFd,
}

/// A program and the processes below it. Dropping this before the end kills them all.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    isolation: Isolation,
    control: Control,
    /// The attempt's init, readable once that has ended, which the kernel lets it only after every
    /// other process of its namespace.
    init: Option<AsyncFd<OwnedFd>>,
    status: OnceCell<ExitStatus>,
    /// How often it tried to reach what its jail does not grant.
    denied: AtomicU32,
}

impl Process {
    /// `init` is the sender of the report that the program runs.
    pub(crate) fn new(pid: u32, isolation: Isolation, control: Control, init: Option<u32>) -> Self {
        let init = init.and_then(|init| Pid::from_raw(init.cast_signed()));
        let open = |init| pidfd_open(init, PidfdFlags::empty()).ok();
        let init = init.and_then(open).and_then(|init| channel::register(init).ok());
        Self { pid, isolation, control, init, status: OnceCell::new(), denied: AtomicU32::new(0) }
    }

    /// The program's process id as the server sees it.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// How its processes are kept together.
    pub const fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Waits until the program has ended and every process that it left behind was killed. May be
    /// called again, and by several tasks at once; dropping the future loses nothing.
    pub async fn wait(&self) -> ExitStatus {
        *self
            .status
            .get_or_init(|| async {
                loop {
                    match self.control.report().await {
                        Ok(Some((Report::Ended(status), _))) => return status,
                        Ok(Some((Report::Denied(count), _))) => {
                            self.denied.store(count, Ordering::Relaxed);
                        }
                        Ok(Some(_)) => {}
                        // Somebody killed the init: the kernel kills its namespace with it, or the
                        // launcher its tree. Its socket is closed before that is done.
                        Ok(None) | Err(_) => {
                            if let Some(init) = &self.init {
                                // An error would be one of the runtime; there is no more to wait by.
                                let _ = init.readable().await;
                            }
                            return ExitStatus::KILLED;
                        }
                    }
                }
            })
            .await
    }

    /// How often it tried to reach what its jail does not grant; known once it has ended.
    pub(crate) fn denied(&self) -> u64 {
        self.denied.load(Ordering::Relaxed).into()
    }

    /// Asks the program's process group to end (SIGTERM) and returns at once.
    pub fn terminate(&self) {
        self.control.demand(Demand::Terminate);
    }

    /// Asks the program's process group to end, and kills the tree if it has not ended after
    /// `grace`; returns when no process is left.
    pub async fn stop(&self, grace: Duration) -> ExitStatus {
        self.terminate();
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(status) => status,
            Err(_) => self.kill().await,
        }
    }

    /// Has the program and every process below it killed, and returns at once; [`Process::wait`]
    /// tells when none is left.
    pub fn begin_kill(&self) {
        self.control.demand(Demand::Kill);
    }

    /// Kills the program and every process below it; returns when none is left.
    pub async fn kill(&self) -> ExitStatus {
        self.begin_kill();
        self.wait().await
    }
}

/// The server's end of the socket to an attempt's init.
#[derive(Debug)]
pub(crate) struct Control(AsyncFd<OwnedFd>);

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        channel::register(socket).map(Self)
    }

    /// The next report and its sender's process id; `None` once the other side is gone.
    pub(crate) async fn report(&self) -> io::Result<Option<(Report, Option<u32>)>> {
        let mut bytes = [0; REPORT_LENGTH];
        let Some(packet) = self.packet(&mut bytes).await? else { return Ok(None) };
        let report = Report::decode(&bytes[..packet.length])
            .ok_or_else(|| io::Error::from(Errno::BADMSG))?;
        Ok(Some((report, packet.sender.map(|pid| pid.as_raw_pid().cast_unsigned()))))
    }

    /// The next packet, whatever it is; `None` once the other side is gone.
    pub(crate) async fn packet(&self, bytes: &mut [u8]) -> io::Result<Option<channel::Packet>> {
        let receive = |socket: &OwnedFd| Ok(channel::receive(socket, bytes, RecvFlags::DONTWAIT)?);
        self.0.async_io(Interest::READABLE, receive).await
    }

    /// A demand that cannot be sent finds nobody to obey it: then the program has ended.
    fn demand(&self, demand: Demand) {
        let _ = channel::send(&self.0, &demand.encode(), &[]);
    }
}
