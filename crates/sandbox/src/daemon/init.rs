//! The init of one attempt: PID 1 of its namespace where there is one, a subreaper elsewhere.
//!
//! It starts the program, forwards what the server demands, reaps, and is gone last: its report of
//! the end is the proof that no process of the attempt is left.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Command, Stdio},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::RecvFlags,
    process::{
        DumpableBehavior, Pid, Signal, WaitOptions, getpid, getppid, kill_process_group,
        set_dumpable_behavior, set_parent_process_death_signal, setsid, wait,
    },
};

use super::{
    Purpose,
    jail::{self, Denials, Enclosure, Filters, Ready},
    namespace,
    signals::{self, ChildSignals},
};
use crate::{
    ExitStatus, Isolation, IsolationPolicy,
    channel::{self, MAX_PACKET},
    jail::wire::JailOrder,
    tree,
    wire::{
        Demand, JAIL_IN_MEMORY_FILE, JAIL_INLINE, ORDER_IN_MEMORY_FILE, ORDER_INLINE, Order,
        Report, Stage,
    },
};

/// Furnishes the process, waits for an order on `launcher`, and carries it out.
pub(super) fn run(
    launcher: &OwnedFd,
    policy: IsolationPolicy,
    purpose: Purpose,
    filters: Option<Filters>,
) -> ! {
    let _ = rustix::thread::set_name(c"flexcore-init");
    let code = match attend(launcher, policy, purpose, filters) {
        Ok(()) => 0,
        Err(_) => 1,
    };
    std::process::exit(code)
}

fn attend(
    launcher: &OwnedFd,
    policy: IsolationPolicy,
    purpose: Purpose,
    filters: Option<Filters>,
) -> Result<(), Errno> {
    let isolation = namespace::furnish(policy)?;
    // Programs of the same user cannot read or trace this process: it holds the control socket.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let children = ChildSignals::open()?;
    let ready = (purpose == Purpose::Jail).then(|| Ready::make(policy));
    channel::send(launcher, &[isolation.encode()], &[])?;

    let mut bytes = vec![0; MAX_PACKET];
    let Some(packet) = channel::receive(launcher, &mut bytes, RecvFlags::empty())? else {
        return Ok(());
    };
    let mut descriptors = packet.descriptors.into_iter();
    let control = descriptors.next().ok_or(Errno::BADMSG)?;
    let (mut denials, mut is_jailed) = (None, false);
    let started =
        read_order(&bytes[..packet.length], &mut descriptors).and_then(|(order, streams)| {
            let mut jail = enclose(&order, policy, ready, descriptors.collect(), control.as_fd())?;
            denials = jail.as_mut().and_then(|enclosure| enclosure.denials.take());
            is_jailed = jail.as_ref().is_some_and(Enclosure::is_closed);
            let jail = jail.map(|enclosure| (enclosure, filters.as_ref()));
            start(&order, streams, control.as_fd(), isolation, jail)
        });
    let report = match &started {
        Ok(_) => Report::Started(isolation),
        Err(error) => Report::Refused(Stage::Exec, error.raw_os_error().unwrap_or(libc::EIO)),
    };
    let told = channel::send(&control, &report.encode(), &[]);
    if let (Ok(program), Ok(())) = (started, told) {
        if let Some(filters) = filters.filter(|_| is_jailed) {
            // A second wall: the program holds no handle to this process. Where the kernel takes no
            // filters, the report says so.
            let _ = filters.hold_init();
        }
        Init { launcher, control, children, isolation, denials, program, status: None }.watch();
    } else {
        exterminate(isolation, &mut |_, _| {});
    }
    Ok(())
}

/// Standard input, output and error.
type Streams = [OwnedFd; 3];

fn read_order(
    bytes: &[u8],
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> io::Result<(Order, Streams)> {
    let malformed = || io::Error::from_raw_os_error(libc::EBADMSG);
    let mut next = || descriptors.next().ok_or_else(malformed);
    let streams = [next()?, next()?, next()?];
    let order = match bytes.split_first() {
        Some((&(ORDER_INLINE | JAIL_INLINE), order)) => Order::decode(order),
        Some((&(ORDER_IN_MEMORY_FILE | JAIL_IN_MEMORY_FILE), [])) => {
            let mut file = File::from(next()?);
            let mut order = Vec::new();
            file.rewind()?;
            file.read_to_end(&mut order)?;
            Order::decode(&order)
        }
        _ => return Err(malformed()),
    };
    Ok((order.map_err(|_| malformed())?, streams))
}

/// Builds the jail that the order asks for, if any.
fn enclose(
    order: &Order,
    policy: IsolationPolicy,
    ready: Option<Ready>,
    descriptors: Vec<OwnedFd>,
    control: BorrowedFd<'_>,
) -> io::Result<Option<Enclosure>> {
    if order.jail.is_empty() {
        return Ok(None);
    }
    let malformed = || io::Error::from_raw_os_error(libc::EBADMSG);
    let jail = JailOrder::decode(&order.jail).ok_or_else(malformed)?;
    Ok(Some(jail::enclose(jail, policy, ready, descriptors, control)?))
}

/// Starts the program and returns its process id as this process sees it.
fn start(
    order: &Order,
    [stdin, stdout, stderr]: Streams,
    control: BorrowedFd<'_>,
    isolation: Isolation,
    jail: Option<(Enclosure, Option<&Filters>)>,
) -> io::Result<Pid> {
    let (program, arguments) =
        order.argv.split_first().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&order.cwd)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    prepare_in_child(&mut command, control, isolation);
    if let Some((enclosure, filters)) = jail {
        enclosure.lock_in(&mut command, filters, control.as_raw_fd())?;
    }
    let child = command.spawn()?;
    Ok(Pid::from_child(&child))
}

/// Lets the new process lead a session of its own, tell the server its number, and in the weaker
/// tier die with its init.
#[expect(unsafe_code, reason = "code between fork and exec has no safe interface")]
fn prepare_in_child(command: &mut Command, control: BorrowedFd<'_>, isolation: Isolation) {
    let init = getpid();
    let control = control.as_raw_fd();
    let prepare = move || -> io::Result<()> {
        setsid()?;
        if isolation == Isolation::ProcessGroup {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            if getppid() != Some(init) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        // SAFETY: the descriptor is open: this runs in a copy of the process whose caller lends it
        // for as long as `start` runs.
        let control = unsafe { BorrowedFd::borrow_raw(control) };
        channel::send(control, &Report::Forked.encode(), &[])?;
        Ok(signals::unblock_all()?)
    };
    // SAFETY: the init has one thread, so the child may do what any process may; the closure makes
    // system calls only.
    unsafe { command.pre_exec(prepare) };
}

/// An init whose program runs.
#[derive(Debug)]
struct Init<'a> {
    launcher: &'a OwnedFd,
    control: OwnedFd,
    children: ChildSignals,
    isolation: Isolation,
    denials: Option<Denials>,
    program: Pid,
    status: Option<ExitStatus>,
}

impl Init<'_> {
    /// Serves demands until the program has ended or must, ends what is left of its tree, and
    /// reports.
    fn watch(mut self) {
        while self.status.is_none() {
            let mut sources = [
                PollFd::new(&self.control, PollFlags::IN),
                PollFd::new(self.launcher, PollFlags::IN),
                PollFd::new(&self.children, PollFlags::IN),
            ];
            if rustix::io::retry_on_intr(|| poll(&mut sources, None)).is_err() {
                break;
            }
            let [control, launcher, children] = sources.map(|source| !source.revents().is_empty());
            if children {
                self.children.clear();
                self.reap();
            }
            // The launcher never speaks again, so that is its end.
            if launcher || (control && !self.obey()) {
                break;
            }
        }
        self.finish();
    }

    fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.status = ExitStatus::from_wait(status);
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Does what the server demands; false if the tree must end now.
    fn obey(&mut self) -> bool {
        let mut bytes = [0; 1];
        match channel::receive(&self.control, &mut bytes, RecvFlags::DONTWAIT) {
            Ok(Some(packet)) => match Demand::decode(&bytes[..packet.length]) {
                Some(Demand::Terminate) => {
                    // The whole group may have ended by itself in this moment.
                    let _ = kill_process_group(self.program, Signal::TERM);
                    true
                }
                Some(Demand::Kill) | None => false,
            },
            Err(Errno::AGAIN) => true,
            // The server is gone.
            Ok(None) | Err(_) => false,
        }
    }

    fn finish(self) {
        let Self { control, isolation, denials, program, mut status, .. } = self;
        exterminate(isolation, &mut |pid, ended| {
            if pid == program {
                status = status.or(ExitStatus::from_wait(ended));
            }
        });
        let denied = denials.map_or(0, |denials| denials.count());
        if denied > 0 {
            // The same as below.
            let denied = Report::Denied(u32::try_from(denied).unwrap_or(u32::MAX));
            let _ = channel::send(&control, &denied.encode(), &[]);
        }
        let report = Report::Ended(status.unwrap_or(ExitStatus::KILLED));
        // If the server is gone there is nobody to tell.
        let _ = channel::send(&control, &report.encode(), &[]);
    }
}

/// Ends what is left of the attempt and returns when nothing is.
fn exterminate(isolation: Isolation, reaped: &mut impl FnMut(Pid, rustix::process::WaitStatus)) {
    if isolation == Isolation::ProcessGroup {
        if has_children(reaped) {
            tree::exterminate_descendants(reaped);
        }
    } else {
        while has_children(reaped) {
            signals::kill_own_namespace();
            tree::reap_one_or_more(reaped);
        }
    }
}

/// Reaps what has ended; whether any child is left.
fn has_children(reaped: &mut impl FnMut(Pid, rustix::process::WaitStatus)) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => reaped(pid, status),
            Ok(None) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
