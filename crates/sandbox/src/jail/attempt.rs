//! One try to start a program in a jail: the order to the init, and what it answers.

use std::{
    io::{self, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{
    cgroup::Group,
    egress::Egress,
    error::JailError,
    jailed::{Holding, Jailed},
    spec::Secret,
    users::User,
    wire::{JailOrder, Message},
};
use crate::{
    Launcher, LauncherGone, Process, SpawnError, SpawnRequest, Spawned,
    process::Control as ControlSocket,
    spawn::{Delivered, Prepared},
    wire::{Report, Stage},
};

/// The longest packet of an init: a report with every control and its details.
const MAX_MESSAGE: usize = 64 * 1024;

/// One try to start a program.
pub(super) struct Attempt<'a> {
    pub(super) order: JailOrder,
    pub(super) secrets: &'a [Secret],
    pub(super) group: Option<Group>,
    pub(super) user: Option<User>,
}

impl Attempt<'_> {
    pub(super) async fn run(
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
        let prepared = Prepared::new(request)?.in_jail(self.order.encode(), !self.order.spec.off);
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
                Next::Report(Report::Started(isolation), init) => {
                    // A program that runs without a report would be one that no jail holds.
                    let report = built.ok_or(SpawnError::LauncherGone(LauncherGone))?;
                    let process = Process::new(pid, isolation, control, init);
                    return Ok(Jailed::new(
                        Spawned { process, stdin, stdout, stderr },
                        Holding {
                            report,
                            egress,
                            group: self.group.take(),
                            user: self.user.take(),
                        },
                        (!self.order.spec.off).then_some(self.order.spec.limits.memory_bytes),
                    ));
                }
                Next::Report(Report::Ended(_) | Report::Denied(_), _) => {
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
