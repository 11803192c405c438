//! Starting a worker, and looking after it until it ends.

use std::{
    convert::Infallible,
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use flexcore_plugin_protocol::{Capabilities, Capability, Effective, LimitName, SandboxProfile};
use flexcore_ports::CallablePlugin;
use flexcore_sandbox::{
    Access, Containment, JailExit, Jailed, Jailer, LastLines, Limits, Profile, SpawnRequest, Stdin,
    read_lines,
};
use tokio::{
    net::unix::pipe,
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::{Worker, talk::Talk};
use crate::{
    WasmOptions,
    task::{Failure, FailureKind},
    wire::{Inbox, Load, Outbox, Tag, pack, unpack},
};

/// What a worker needs beside the memory of its guests: code, stacks, tables, buffers.
const OVERHEAD: u64 = 320 << 20;
/// Numbers the workers of this process.
static WORKERS: AtomicU64 = AtomicU64::new(0);

/// A folder that is removed when nobody needs it any more.
#[derive(Debug)]
pub(crate) struct RunFolder(pub(crate) PathBuf);

impl Drop for RunFolder {
    fn drop(&mut self) {
        // What is left is swept with the folder above it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is let go of when a worker has ended.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) _folder: Option<RunFolder>,
    pub(crate) _ends: mpsc::Sender<Infallible>,
}

/// Starts a worker that loads a guest, and returns when it can be called.
pub(crate) async fn start(
    jailer: &Jailer,
    options: &WasmOptions,
    plugin: &CallablePlugin,
    load: Load,
    kept: Kept,
) -> Result<Worker, Failure> {
    let containment = containment(options, plugin, &load)?;
    let mut process = spawn(jailer, options, &containment, &[]).await?;
    let isolation = containment.isolation(&process);
    let (input, output) = pipes(&mut process).map_err(|error| no_worker(&error))?;
    let errors = listen_to_errors(&mut process);
    let (talk, kill) = (Arc::new(Talk::new(Outbox::new(input))), Arc::new(Notify::new()));
    let pump = tokio::spawn({
        let talk = Arc::clone(&talk);
        async move { talk.pump().await }
    });
    let mut inbox = Inbox::new(output);
    let time = plugin.effective.limits.duration(LimitName::Start).unwrap_or(options.start);
    let loaded = tokio::time::timeout(time, load_guest(&talk, &mut inbox, &load)).await;
    let loaded = loaded.unwrap_or_else(|_| {
        let message = format!("it could not be called within {time:?}");
        Err(Failure::new(FailureKind::Worker, message))
    });
    if let Err(failure) = loaded {
        // What it waits for is the end of its input.
        pump.abort();
        drop(talk);
        let is_known = failure.kind != FailureKind::Worker;
        let exit = if is_known { process.kill().await } else { end(process, options.stop).await };
        return Err(with_reason(failure, &exit, &errors));
    }
    let grace = options.stop;
    let watched = Watched { talk: Arc::clone(&talk), kill: Arc::clone(&kill), errors, pump, grace };
    tokio::spawn(look_after(process, inbox, watched, kept));
    Ok(Worker {
        talk,
        kill,
        isolation,
        calls: AtomicU64::new(0),
        begun: AtomicU32::new(0),
        since: Instant::now(),
        stop: options.stop,
    })
}

/// Starts the program of workers with further arguments.
pub(super) async fn spawn(
    jailer: &Jailer,
    options: &WasmOptions,
    containment: &Containment,
    arguments: &[&str],
) -> Result<Jailed, Failure> {
    let number = WORKERS.fetch_add(1, Ordering::Relaxed);
    let mut argv = vec![options.executable.clone().into_os_string()];
    argv.extend(options.arguments.iter().cloned());
    argv.extend(arguments.iter().map(Into::into));
    let request = SpawnRequest {
        argv,
        cwd: PathBuf::from("/"),
        environment: Vec::new(),
        stdin: Stdin::Pipe,
        attempt: format!("wasm/{}/{number}", std::process::id()),
    };
    let started = containment.spawn(jailer, request, &[]).await;
    started.map_err(|error| {
        let message = format!("the process that runs it cannot be started: {}", chain(&error));
        Failure::new(FailureKind::Worker, message)
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn containment(
    options: &WasmOptions,
    plugin: &CallablePlugin,
    load: &Load,
) -> Result<Containment, Failure> {
    let limits = &plugin.effective.limits;
    let memory = limits.get(LimitName::Memory).unwrap_or(options.memory_bytes);
    let base = Limits {
        memory_bytes: memory.saturating_mul(u64::from(load.calls)).saturating_add(OVERHEAD),
        pids: 32,
        ..Limits::default()
    };
    let made = Containment::new(&of_the_process(&plugin.effective), &options.policy, base);
    let containment = made
        .and_then(|made| made.demanding(&plugin.manifest.sandbox))
        .map_err(|error| Failure::new(FailureKind::Worker, error.to_string()))?;
    // A guest has no use for sockets; whoever wants it stricter still gets that.
    let containment = match plugin.manifest.sandbox.profile {
        SandboxProfile::Default => containment.profile(Profile::Compute),
        SandboxProfile::Strict => containment,
    };
    let mut containment =
        containment.show(&options.executable, Access::ReadOnly).show(&load.path, Access::ReadOnly);
    if let Some(scratch) = &load.rights.scratch {
        containment = containment.show(scratch, Access::ReadWrite);
    }
    Ok(options.hidden.iter().fold(containment, Containment::hide))
}

/// The rights that the worker itself has for its guest: folders, and how much of the machine. The
/// rest the host does for it, and its memory and threads are not only the guest's.
fn of_the_process(effective: &Effective) -> Effective {
    let is_own = |capability: &&Capability| {
        matches!(capability, Capability::FsRead(_) | Capability::FsWrite(_))
    };
    // A guest starts no programs whatever it was granted: there is nothing to say about its worker.
    let own = effective.capabilities.iter().filter(is_own).cloned();
    let capabilities: Capabilities = own.chain([Capability::Exec]).collect();
    let own = [
        LimitName::Cpu,
        LimitName::Disk,
        LimitName::Inodes,
        LimitName::IoReadBps,
        LimitName::IoWriteBps,
    ];
    let limits = effective.limits.iter().filter(|(name, _)| own.contains(name)).collect();
    Effective { capabilities, limits, ..Effective::default() }
}

pub(super) fn pipes(jailed: &mut Jailed) -> io::Result<(pipe::Sender, pipe::Receiver)> {
    let taken =
        |end: Option<OwnedFd>| end.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe));
    let input = pipe::Sender::from_owned_fd(taken(jailed.stdin.take())?)?;
    Ok((input, pipe::Receiver::from_owned_fd(taken(jailed.stdout.take())?)?))
}

/// What a worker printed last.
pub(super) type Errors = Arc<Mutex<LastLines>>;

pub(super) fn listen_to_errors(jailed: &mut Jailed) -> Errors {
    let errors = Errors::default();
    if let Some(output) = jailed.stderr.take() {
        let errors = Arc::clone(&errors);
        tokio::spawn(async move {
            let keep = |line: &str| {
                errors.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            };
            // The end of the pipe is all there is to wait for.
            let _ = read_lines(output, LastLines::MAX_LINE, keep).await;
        });
    }
    errors
}

async fn load_guest(talk: &Talk, inbox: &mut Inbox, load: &Load) -> Result<(), Failure> {
    let body = pack(load, &[]).map_err(|error| no_worker(&error))?;
    talk.send(Tag::Load, 0, &body).map_err(|error| no_worker(&error))?;
    match inbox.next().await {
        Ok(Some(frame)) if frame.tag == Tag::Ready => Ok(()),
        Ok(Some(frame)) if frame.tag == Tag::Refused => {
            let failure: io::Result<(Failure, _)> = unpack(&frame.body);
            Err(failure.map_or_else(|error| no_worker(&error), |(failure, _)| failure))
        }
        Ok(_) => Err(no_worker(&io::Error::from(io::ErrorKind::UnexpectedEof))),
        Err(error) => Err(no_worker(&error)),
    }
}

fn no_worker(error: &io::Error) -> Failure {
    let message = format!("the process that runs it cannot be spoken with: {error}");
    Failure::new(FailureKind::Worker, message)
}

/// What is needed to look after a worker.
struct Watched {
    talk: Arc<Talk>,
    kill: Arc<Notify>,
    errors: Errors,
    /// Writes what waits for the worker.
    pump: JoinHandle<io::Error>,
    /// How long it may take to end once it has closed its output.
    grace: Duration,
}

/// Waits for the end of a worker, and brings it about when its host wants it or it says what no
/// worker says.
async fn look_after(jailed: Jailed, inbox: Inbox, watched: Watched, kept: Kept) {
    let Watched { talk, kill, errors, pump, grace } = watched;
    let mut said = Failure::new(FailureKind::Worker, "the process that runs it ended");
    let mut has_closed = false;
    tokio::select! {
        heard = talk.listen(inbox) => match heard {
            Ok(()) => has_closed = true,
            Err(error) => {
                said.message = format!("the process that runs it was killed because of {error}");
            }
        },
        () = kill.notified() => said.message = "the process that runs it was killed".to_owned(),
    }
    talk.closing(&said);
    pump.abort();
    let exit = if has_closed { end(jailed, grace).await } else { jailed.kill().await };
    talk.close(with_reason(said, &exit, &errors));
    drop(kept);
}

/// Waits for a process that has closed its output to end by itself, so that it says how; one that
/// does not is killed.
pub(super) async fn end(jailed: Jailed, grace: Duration) -> JailExit {
    match tokio::time::timeout(grace, jailed.process.wait()).await {
        Ok(_) => jailed.wait().await,
        Err(_) => jailed.kill().await,
    }
}

pub(super) fn with_reason(failure: Failure, exit: &JailExit, errors: &Errors) -> Failure {
    if failure.kind != FailureKind::Worker {
        return failure;
    }
    let lines = std::mem::take(&mut *errors.lock().unwrap_or_else(PoisonError::into_inner));
    let lines = lines.into_lines().join("\n");
    let said = if lines.is_empty() { String::new() } else { format!(": {lines}") };
    if exit.out_of_memory {
        let message = format!("the process that runs it was killed for its memory{said}");
        return Failure::new(FailureKind::Memory, message);
    }
    let message = format!("{} ({}){said}", failure.message, exit.status);
    Failure::new(FailureKind::Worker, message)
}
