//! Asking the launcher for a program, and saying in a person's words why it could not be had.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::Errno,
    net::sockopt::set_socket_passcred,
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
};

use crate::{
    ATTEMPT_VARIABLE, LauncherError, LauncherGone, Process, Spawned, channel,
    process::Control,
    wire::{
        JAIL_IN_MEMORY_FILE, JAIL_INLINE, ORDER_IN_MEMORY_FILE, ORDER_INLINE, Order, Report, Stage,
    },
};

/// The size asked for the pipes that carry data; what the system allows below it is good enough.
const PIPE_SIZE: usize = 1024 * 1024;

/// A program to start.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// The program and its arguments. A program without a slash is looked for in the `PATH` of
    /// `environment`, a relative one with a slash starts at `cwd`.
    pub argv: Vec<OsString>,
    /// Its working directory; must be absolute.
    pub cwd: PathBuf,
    /// Its whole environment, but for `FLEXCORE_ATTEMPT`.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard input.
    pub stdin: Stdin,
    /// The value of its `FLEXCORE_ATTEMPT`: distinct for every program that runs at one time, for
    /// example `<execution>/<step>/<attempt>/tap`.
    pub attempt: String,
}

/// Where a program's standard input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// A pipe, whose other end the caller gets.
    Pipe,
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The argument list is empty.
    #[error("there is no program to start: the argument list is empty")]
    NoProgram,
    /// A string for the program contains a zero byte, which the system cannot pass on.
    #[error("{place} contains a zero byte, which no program can be given")]
    ZeroByte {
        /// Which string.
        place: String,
    },
    /// A name of the environment that no program could read back.
    #[error("`{name}` is not a name for an environment variable")]
    VariableName {
        /// The name.
        name: String,
    },
    /// There is no such program.
    #[error("program `{program}` not found{}", searched_in(.searched.as_deref()))]
    ProgramNotFound {
        /// The program.
        program: String,
        /// The folders that were searched, if it was named without a slash.
        searched: Option<String>,
    },
    /// The program is a script whose interpreter does not exist.
    #[error("the interpreter of `{program}` does not exist; check its first line (`{first_line}`)")]
    InterpreterNotFound {
        /// The script.
        program: String,
        /// Its first line.
        first_line: String,
    },
    /// The program may not be executed.
    #[error("no permission to execute `{program}`; make it executable with `chmod +x`")]
    NotExecutable {
        /// The program.
        program: String,
    },
    /// The working directory cannot be entered.
    #[error("cannot use {cwd} as the working directory")]
    WorkingDirectory {
        /// The folder.
        cwd: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Arguments and environment together are longer than the system allows.
    #[error(
        "the arguments and environment of `{program}` are too long for the system; pass large values in a file"
    )]
    TooLong {
        /// The program.
        program: String,
    },
    /// The system has no process, memory or descriptor left for it.
    #[error("the system cannot start another program now (processes, memory or open files)")]
    Exhausted(#[source] io::Error),
    /// Anything else that the system said.
    #[error("cannot start `{program}`")]
    Other {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The launcher ended meanwhile.
    #[error("cannot start a program")]
    LauncherGone(#[from] LauncherGone),
    /// The launcher had died and no other could be started.
    #[error("cannot start a program")]
    Launcher(#[from] LauncherError),
}

fn searched_in(searched: Option<&str>) -> String {
    searched.map_or_else(String::new, |path| {
        format!(" in PATH ({path}); install it, correct PATH in `env`, or give its path")
    })
}

/// The way to the launcher.
pub(crate) trait Wire {
    /// Sends one packet.
    async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()>;
}

/// A request that was checked.
#[derive(Debug)]
pub(crate) struct Prepared {
    order: Order,
    stdin: Stdin,
    /// The first byte of its packet, with the order in it or in a memory file.
    tags: (u8, u8),
}

/// An order that the launcher has: the server's ends of what it came with.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) control: Control,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Both ends of a program's standard streams.
struct Streams {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
    in_child: [OwnedFd; 3],
}

impl Prepared {
    pub(crate) fn new(request: SpawnRequest) -> Result<Self, SpawnError> {
        let SpawnRequest { argv, cwd, mut environment, stdin, attempt } = request;
        if argv.is_empty() {
            return Err(SpawnError::NoProgram);
        }
        environment.retain(|(name, _)| name != ATTEMPT_VARIABLE);
        environment.push((ATTEMPT_VARIABLE.into(), attempt.into()));
        refuse_zero_bytes(&argv, &cwd, &environment)?;
        let order = Order { argv, cwd, environment, jail: Vec::new() };
        Ok(Self { order, stdin, tags: (ORDER_INLINE, ORDER_IN_MEMORY_FILE) })
    }

    /// Has the program run in the jail of this order, encoded. `is_closed` says that the jail holds
    /// anything.
    pub(crate) fn in_jail(mut self, jail: Vec<u8>, is_closed: bool) -> Self {
        self.order.jail = jail;
        if is_closed {
            self.tags = (JAIL_INLINE, JAIL_IN_MEMORY_FILE);
        }
        self
    }

    /// Sends the order and waits for the program to run.
    pub(crate) async fn send(&self, launcher: &impl Wire) -> Result<Spawned, SpawnError> {
        let Delivered { control, stdin, stdout, stderr } = self.deliver(launcher, &[]).await?;
        let process = self.started(control).await?;
        Ok(Spawned { process, stdin, stdout, stderr })
    }

    /// Sends the order, with further descriptors behind its own.
    pub(crate) async fn deliver(
        &self,
        launcher: &impl Wire,
        further: &[BorrowedFd<'_>],
    ) -> Result<Delivered, SpawnError> {
        let (control, in_child) = control().map_err(exhausted)?;
        let streams = Streams::open(self.stdin).map_err(exhausted)?;
        let (packet, memory_file) = self.packet().map_err(exhausted)?;
        let descriptors: Vec<BorrowedFd<'_>> = [&in_child]
            .into_iter()
            .chain(&streams.in_child)
            .chain(&memory_file)
            .map(|descriptor| descriptor.as_fd())
            .chain(further.iter().copied())
            .collect();
        launcher.send(&packet, &descriptors).await.map_err(|_| LauncherGone)?;
        let Streams { stdin, stdout, stderr, .. } = streams;
        Ok(Delivered { control, stdin, stdout, stderr })
    }

    fn packet(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        let order = self.order.encode();
        if order.len() < channel::MAX_PACKET {
            let mut packet = Vec::with_capacity(order.len() + 1);
            packet.push(self.tags.0);
            packet.extend_from_slice(&order);
            return Ok((packet, None));
        }
        let mut file = File::from(memfd_create("flexcore-order", MemfdFlags::CLOEXEC)?);
        file.write_all(&order)?;
        Ok((vec![self.tags.1], Some(file.into())))
    }

    /// Waits for the report that the program runs.
    async fn started(&self, control: Control) -> Result<Process, SpawnError> {
        let mut pid = 0;
        loop {
            let report = control.report().await.map_err(exhausted)?;
            match report {
                Some((Report::Forked, sender)) => pid = sender.unwrap_or(0),
                Some((Report::Started(isolation), init)) => {
                    return Ok(Process::new(pid, isolation, control, init));
                }
                Some((Report::Refused(Stage::Launch, errno), _)) => {
                    return Err(exhausted(io::Error::from_raw_os_error(errno)));
                }
                Some((Report::Refused(Stage::Exec, errno), _)) => {
                    return Err(self.explain(io::Error::from_raw_os_error(errno)));
                }
                Some((Report::Ended(_) | Report::Denied(_), _)) | None => {
                    return Err(LauncherGone.into());
                }
            }
        }
    }

    /// Finds out what the error of a failed start was about: chdir and exec share their numbers.
    fn explain(&self, source: io::Error) -> SpawnError {
        let cwd = &self.order.cwd;
        if let Err(source) = enter(cwd) {
            return SpawnError::WorkingDirectory { cwd: cwd.clone(), source };
        }
        let name = &self.order.argv[0];
        let program = name.to_string_lossy().into_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOENT | Errno::NOTDIR) => self.explain_not_found(name, program),
            Some(Errno::ACCESS | Errno::PERM | Errno::ISDIR) => {
                SpawnError::NotExecutable { program }
            }
            Some(Errno::TOOBIG) => SpawnError::TooLong { program },
            Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => exhausted(source),
            _ => SpawnError::Other { program, source },
        }
    }

    fn explain_not_found(&self, name: &OsStr, program: String) -> SpawnError {
        let path = self.order.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str()).unwrap_or_default();
        let found = if name.as_bytes().contains(&b'/') {
            Some(self.order.cwd.join(name)).filter(|file| file.exists())
        } else {
            std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.exists())
        };
        if let Some(file) = found {
            return SpawnError::InterpreterNotFound { program, first_line: first_line(&file) };
        }
        let searched =
            (!name.as_bytes().contains(&b'/')).then(|| path.to_string_lossy().into_owned());
        SpawnError::ProgramNotFound { program, searched }
    }
}

/// The beginning of a script, for people.
fn first_line(file: &Path) -> String {
    let mut start = Vec::new();
    let read =
        File::open(file).and_then(|file| io::copy(&mut io::Read::take(file, 128), &mut start));
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match read {
        Ok(_) => String::from_utf8_lossy(line).trim_end().to_owned(),
        Err(_) => String::new(),
    }
}

fn enter(cwd: &Path) -> io::Result<()> {
    if !cwd.is_absolute() {
        return Err(io::Error::other("it is not an absolute path"));
    }
    if !fs::metadata(cwd)?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    Ok(rustix::fs::access(cwd, rustix::fs::Access::EXEC_OK)?)
}

fn exhausted(error: impl Into<io::Error>) -> SpawnError {
    SpawnError::Exhausted(error.into())
}

fn refuse_zero_bytes(
    argv: &[OsString],
    cwd: &Path,
    environment: &[(OsString, OsString)],
) -> Result<(), SpawnError> {
    let zero = |string: &OsStr| string.as_bytes().contains(&0);
    let refuse = |place: String| Err(SpawnError::ZeroByte { place });
    if let Some(position) = argv.iter().position(|argument| zero(argument)) {
        return refuse(format!("argument {position}"));
    }
    if zero(cwd.as_os_str()) {
        return refuse("the working directory".to_owned());
    }
    let bad = environment.iter().find(|(name, value)| {
        zero(name) || zero(value) || name.is_empty() || name.as_bytes().contains(&b'=')
    });
    match bad {
        Some((name, value)) if zero(name) || zero(value) => {
            refuse(format!("the environment variable {}", name.to_string_lossy()))
        }
        Some((name, _)) => Err(SpawnError::VariableName { name: name.to_string_lossy().into() }),
        None => Ok(()),
    }
}

/// The socket between server and init; the server's end learns who sends.
fn control() -> io::Result<(Control, OwnedFd)> {
    let (here, in_child) = channel::pair()?;
    set_socket_passcred(&here, true)?;
    Ok((Control::new(here)?, in_child))
}

impl Streams {
    fn open(stdin: Stdin) -> io::Result<Self> {
        let (stdin, stdin_in_child) = match stdin {
            Stdin::Null => (None, File::open("/dev/null")?.into()),
            Stdin::Pipe => {
                let (read, write) = data_pipe()?;
                (Some(write), read)
            }
        };
        let (stdout, stdout_in_child) = data_pipe()?;
        let (stderr, stderr_in_child) = pipe_with(PipeFlags::CLOEXEC)?;
        let in_child = [stdin_in_child, stdout_in_child, stderr_in_child];
        Ok(Self { stdin, stdout, stderr, in_child })
    }
}

fn data_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // An ordinary user has a budget for large pipes; beyond it the usual 64 KiB have to do.
    let _ = fcntl_setpipe_size(&write, PIPE_SIZE);
    Ok((read, write))
}
