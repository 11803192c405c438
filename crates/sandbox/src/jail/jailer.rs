//! Starting programs in jails.

use std::{
    collections::HashSet,
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    cgroup::{Group, Groups},
    egress::{Egress, GrantUse},
    report::{Control, ControlName, ControlState, SandboxReport},
    spec::{Access, JailSpec, Secret},
    wire::{JailOrder, Message},
};
use crate::{
    ExitStatus, Launcher, LauncherGone, Process, SpawnError, SpawnRequest,
    process::Control as ControlSocket,
    spawn::{Delivered, Prepared},
    wire::{Report, Stage},
};

/// The first of the users that programs become: above the users of people and services, below the
/// ranges that containers map.
const FIRST_USER: u32 = 61_000;
/// How many there are.
const USERS: u32 = 1_000;
/// How many secrets one program is given at most.
const MAX_SECRETS: usize = 32;
/// The longest secret: what a pipe holds without a reader.
const MAX_SECRET: usize = 64 * 1024;
/// The longest packet of an init: a report with every control and its details.
const MAX_MESSAGE: usize = 64 * 1024;

/// What of the machine a [`Jailer`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JailerOptions {
    /// Whether to make control groups. The operator may not want that.
    pub control_groups: bool,
    /// Whether to give each program a user of its own, where the server is root.
    pub own_users: bool,
}

impl Default for JailerOptions {
    fn default() -> Self {
        Self { control_groups: true, own_users: true }
    }
}

/// Why a program could not be started in a jail.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The spec cannot be carried out on any machine.
    #[error("the jail cannot be described like this: {problem}")]
    Spec {
        /// What is wrong.
        problem: String,
    },
    /// The machine does not enforce what the spec requires; the program was not started.
    #[error("this machine does not enforce what the program must be held by: {}", listed(.report))]
    Missing {
        /// What it does enforce, and what is missing.
        report: Box<SandboxReport>,
    },
    /// A step of building the jail failed; the program was not started.
    #[error("cannot build the jail ({step}: {what})")]
    Step {
        /// The step.
        step: String,
        /// What it was about: a path, an address, a limit.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program cannot be started inside its jail.
    #[error(
        "cannot start `{program}` in its jail; is it in a folder that the jail shows, and may it be executed?"
    )]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// What fails without a jail too.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

fn listed(report: &SandboxReport) -> String {
    let with_remedy = |name: &ControlName| format!("{name} ({})", name.remedy());
    report.missing().iter().map(with_remedy).collect::<Vec<_>>().join("; ")
}

/// Starts programs in jails, by a launcher.
#[derive(Debug)]
pub struct Jailer {
    launcher: Launcher,
    options: JailerOptions,
    groups: Groups,
    users: Arc<Mutex<Users>>,
}

/// The users that are taken, and where to look for the next: a user that was just given back is the
/// last to be taken again.
#[derive(Debug, Default)]
struct Users {
    taken: HashSet<u32>,
    next: u32,
}

/// A user that is taken until this is dropped.
#[derive(Debug)]
struct User {
    number: u32,
    users: Arc<Mutex<Users>>,
}

impl Drop for User {
    fn drop(&mut self) {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&self.number);
    }
}

/// A program in its jail.
#[derive(Debug)]
pub struct Jailed {
    /// The program.
    pub process: Process,
    /// Where its standard input comes from, if a pipe was asked for; to be taken.
    pub stdin: Option<OwnedFd>,
    /// Where its standard output goes; to be taken.
    pub stdout: Option<OwnedFd>,
    /// Where its standard error goes; to be taken.
    pub stderr: Option<OwnedFd>,
    /// What holds it.
    pub report: SandboxReport,
    egress: Egress,
    group: Option<Group>,
    _user: Option<User>,
}

/// How a program in a jail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JailExit {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether the kernel killed a process of it for lack of memory.
    pub out_of_memory: bool,
    /// How each network grant was used.
    pub network: Vec<GrantUse>,
}

impl Jailer {
    /// A jailer that starts programs by `launcher`.
    pub fn new(launcher: Launcher, options: JailerOptions) -> Self {
        let groups = if options.control_groups { Groups::find() } else { Groups::default() };
        // Servers on one machine should not meet; they begin at different places.
        let next = rustix::process::getpid().as_raw_pid().cast_unsigned() % USERS;
        let users = Arc::new(Mutex::new(Users { taken: HashSet::new(), next }));
        Self { launcher, options, groups, users }
    }

    /// Starts a program in a jail and returns once it runs. `request.cwd` is a folder of the jail.
    ///
    /// # Errors
    /// [`JailError::Missing`] if the spec is strict and the machine does not enforce what it
    /// requires; the others say what failed. In each case the program was not started.
    pub async fn spawn(
        &self,
        request: SpawnRequest,
        spec: JailSpec,
        secrets: &[Secret],
    ) -> Result<Jailed, JailError> {
        let problem = spec.problem().or_else(|| problem_of_secrets(secrets));
        if let Some(problem) = problem {
            return Err(JailError::Spec { problem });
        }
        let group = self.make_group(&spec)?;
        let user = self.take_user();
        let order = JailOrder {
            uid: user.as_ref().map(|user| user.number),
            groups: 0,
            controls: self.controls(group.as_ref(), &spec),
            secrets: secrets.iter().map(|secret| secret.name.clone()).collect(),
            spec,
        };
        let mut attempt = Attempt { order, secrets, group, user };
        let mut outcome = attempt.run(&self.launcher, request.clone()).await;
        if let Err(JailError::Spawn(SpawnError::LauncherGone(_))) = outcome {
            // It was ended from outside before it took the order.
            self.launcher.restart().await?;
            outcome = attempt.run(&self.launcher, request).await;
        }
        if let (Err(_), Some(group)) = (&outcome, attempt.group.take()) {
            group.remove().await;
        }
        outcome
    }

    fn make_group(&self, spec: &JailSpec) -> Result<Option<Group>, JailError> {
        if !self.options.control_groups {
            return Ok(None);
        }
        let device = spec.limits.io_bytes_per_second.and_then(|_| disk_of(spec));
        let made = self.groups.make(&spec.limits, device.as_deref());
        made.map(Some).map_err(|source| JailError::Step {
            step: "cgroups".to_owned(),
            what: "making a control group".to_owned(),
            source,
        })
    }

    fn take_user(&self) -> Option<User> {
        if !self.options.own_users || !rustix::process::geteuid().is_root() {
            return None;
        }
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (0..USERS)
            .map(|step| FIRST_USER + (users.next + step) % USERS)
            .find(|user| !users.taken.contains(user))?;
        users.taken.insert(free);
        users.next = free - FIRST_USER + 1;
        Some(User { number: free, users: Arc::clone(&self.users) })
    }

    /// What is known of the groups before the init speaks.
    fn controls(&self, group: Option<&Group>, spec: &JailSpec) -> Vec<Control> {
        let mut controls = group.map(|group| group.controls.clone()).unwrap_or_default();
        let wanted = [
            (ControlName::Cpu, spec.limits.cpu_milli.is_some()),
            (ControlName::Io, spec.limits.io_bytes_per_second.is_some()),
            (ControlName::CgroupKill, true),
        ];
        for (name, is_wanted) in wanted {
            if !is_wanted || controls.iter().any(|control| control.name == name) {
                continue;
            }
            controls.push(if self.options.control_groups {
                Control::unavailable(name, "no control group with it can be made here")
            } else {
                Control::new(name, ControlState::DisabledByOperator)
            });
        }
        controls
    }
}

fn problem_of_secrets(secrets: &[Secret]) -> Option<String> {
    if secrets.len() > MAX_SECRETS {
        return Some(format!("{} secrets are more than {MAX_SECRETS}", secrets.len()));
    }
    let plain = |name: &str| !name.is_empty() && !name.contains(['=', ',', '\0']);
    secrets.iter().find_map(|Secret { name, value }| {
        if !plain(name) {
            return Some(format!("`{name}` is not a name for a secret"));
        }
        let too_long = value.len() > MAX_SECRET;
        too_long.then(|| format!("the secret `{name}` is longer than {MAX_SECRET} bytes"))
    })
}

/// The disk that holds the first writable bind, as control groups name it.
fn disk_of(spec: &JailSpec) -> Option<String> {
    let bind = spec.binds.iter().find(|bind| bind.access == Access::ReadWrite)?;
    let device = std::fs::metadata(&bind.source).ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    // File systems without a disk of their own have no major number.
    if major == 0 {
        return None;
    }
    let own = format!("{major}:{minor}");
    let entry = Path::new("/sys/dev/block").join(&own);
    if !entry.join("partition").exists() {
        return Some(own);
    }
    // Only whole disks can be limited.
    let disk = std::fs::read_to_string(entry.join("../dev")).ok()?;
    Some(disk.trim().to_owned())
}

/// One try to start a program.
struct Attempt<'a> {
    order: JailOrder,
    secrets: &'a [Secret],
    group: Option<Group>,
    user: Option<User>,
}

impl Attempt<'_> {
    async fn run(
        &mut self,
        launcher: &Launcher,
        request: SpawnRequest,
    ) -> Result<Jailed, JailError> {
        let system = |what: &str, source: io::Error| JailError::Step {
            step: "order".to_owned(),
            what: what.to_owned(),
            source,
        };
        let entrances = self.group.as_ref().map_or_else(|| Ok(Vec::new()), Group::entrances);
        let entrances = entrances.map_err(|error| system("the control group", error))?;
        let pipes: io::Result<Vec<OwnedFd>> = self.secrets.iter().map(pipe_of).collect();
        let pipes = pipes.map_err(|error| system("the secrets", error))?;
        self.order.groups = entrances.len();
        let program = request.argv.first().map(|name| name.to_string_lossy().into_owned());
        let prepared = Prepared::new(request)?.in_jail(self.order.encode());
        let extra: Vec<BorrowedFd<'_>> =
            entrances.iter().chain(&pipes).map(OwnedFd::as_fd).collect();
        let delivered = launcher.deliver(&prepared, &extra).await?;
        drop(extra);
        drop((entrances, pipes));
        self.await_start(delivered, program.unwrap_or_default()).await
    }

    async fn await_start(
        &mut self,
        delivered: Delivered,
        program: String,
    ) -> Result<Jailed, JailError> {
        let Delivered { control, stdin, stdout, stderr } = delivered;
        let (mut egress, mut built, mut pid) = (Egress::default(), None, 0);
        loop {
            match next(&control).await? {
                Next::Message(Message::Listener(index), descriptors) => {
                    let grant = self.order.spec.network.grants().get(index);
                    for (grant, listener) in grant.into_iter().zip(descriptors) {
                        egress.serve(grant, listener).map_err(SpawnError::Exhausted)?;
                    }
                }
                Next::Message(Message::Built { report, refused: true }, _) => {
                    return Err(JailError::Missing { report: Box::new(report) });
                }
                Next::Message(Message::Built { report, .. }, _) => built = Some(report),
                Next::Message(Message::Failed { step, what, errno }, _) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(JailError::Step { step, what, source });
                }
                Next::Report(Report::Forked, sender) => pid = sender.unwrap_or(0),
                Next::Report(Report::Refused(Stage::Launch, errno), _) => {
                    return Err(SpawnError::Exhausted(io::Error::from_raw_os_error(errno)).into());
                }
                Next::Report(Report::Refused(Stage::Exec, errno), _) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(JailError::Program { program, source });
                }
                Next::Report(Report::Started(isolation), _) => {
                    // A program that runs without a report would be one that no jail holds.
                    let report = built.ok_or(SpawnError::LauncherGone(LauncherGone))?;
                    let process = Process::new(pid, isolation, control);
                    return Ok(Jailed {
                        process,
                        stdin,
                        stdout: Some(stdout),
                        stderr: Some(stderr),
                        report,
                        egress,
                        group: self.group.take(),
                        _user: self.user.take(),
                    });
                }
                Next::Report(Report::Ended(_), _) => {
                    return Err(SpawnError::LauncherGone(LauncherGone).into());
                }
            }
        }
    }
}

enum Next {
    Message(Message, Vec<OwnedFd>),
    Report(Report, Option<u32>),
}

async fn next(control: &ControlSocket) -> Result<Next, SpawnError> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let packet = control.packet(&mut bytes).await.map_err(SpawnError::Exhausted)?;
    let packet = packet.ok_or(LauncherGone)?;
    let bytes = &bytes[..packet.length];
    let sender = packet.sender.map(|pid| pid.as_raw_pid().cast_unsigned());
    match (Message::decode(bytes), Report::decode(bytes)) {
        (Some(message), _) => Ok(Next::Message(message, packet.descriptors)),
        (None, Some(report)) => Ok(Next::Report(report, sender)),
        (None, None) => Err(LauncherGone.into()),
    }
}

/// A pipe that holds the secret and has no writer any more.
fn pipe_of(secret: &Secret) -> io::Result<OwnedFd> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    std::fs::File::from(write).write_all(&secret.value)?;
    // The program reads it like a file.
    rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::empty())?;
    Ok(read)
}

impl Jailed {
    /// Waits until no process of the jail is alive, and removes what the jail needed.
    pub async fn wait(self) -> JailExit {
        let status = self.process.wait().await;
        self.finish(status).await
    }

    /// Kills the program and every process below it; returns when none is left.
    pub async fn kill(self) -> JailExit {
        self.begin_kill();
        self.wait().await
    }

    /// Has everything in the jail killed, and returns at once.
    pub fn begin_kill(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        self.process.begin_kill();
    }

    /// How each network grant was used so far.
    pub fn network(&self) -> Vec<GrantUse> {
        self.egress.uses()
    }

    async fn finish(mut self, status: ExitStatus) -> JailExit {
        let mut out_of_memory = false;
        if let Some(group) = self.group.take() {
            out_of_memory = group.was_out_of_memory();
            group.remove().await;
        }
        JailExit { status, out_of_memory, network: self.egress.uses() }
    }
}
