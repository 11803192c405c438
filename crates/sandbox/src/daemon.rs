//! The launcher's own process: single-threaded, without a runtime, with nothing in its memory or
//! environment that a plugin must not see. It forks an init per attempt and hands it the order; from
//! then on the init and the server speak with each other directly, and the launcher only has to end
//! what is left when the server is gone.

mod descriptors;
mod init;
pub(crate) mod jail;
mod namespace;
mod signals;

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    io::Write as _,
    os::fd::OwnedFd,
    process::ExitCode,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::RecvFlags,
    process::{Pid, WaitOptions, WaitStatus, getpid, set_child_subreaper, setsid, wait, waitpid},
};

use self::{jail::Filters, namespace::Fork, signals::ChildSignals};
use crate::{
    IsolationPolicy,
    channel::{self, MAX_PACKET},
    tree,
    wire::{Deadline, JAIL_IN_MEMORY_FILE, JAIL_INLINE, Report, Stage},
};

/// The first argument of a launcher process.
pub(crate) const LAUNCHER_ARGUMENT: &str = "__launcher";

/// The first argument of a process that tries out what can be enforced here.
pub(crate) const PROBE_ARGUMENT: &str = "__sandbox-probe";

/// How many inits one order may use up: one per tier that does not work here, and some to spare.
const HAND_OVER_TRIES: u32 = 6;

/// Runs the launcher if the process was started as one: the first thing that the `main` of an
/// executable named in [`crate::LauncherOptions::executable`] must do, before it makes a thread.
/// `arguments` are the process's own, its name first.
pub fn run_if_launcher(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    let word = arguments.next()?;
    if word == PROBE_ARGUMENT {
        return Some(jail::trial::main(arguments.next().as_ref()));
    }
    if word != LAUNCHER_ARGUMENT {
        return None;
    }
    descriptors::close_inherited();
    let policy = arguments.next().and_then(|word| IsolationPolicy::from_word(word.to_str()?));
    let descriptors = descriptors::take();
    if let (Some(policy), Ok((socket, lock)), None) = (policy, descriptors, arguments.next()) {
        return Some(launcher_main(socket, lock, policy));
    }
    let message = "flexcore: this is the launcher, which flexcore starts for itself; \
                   it cannot be started by hand\n";
    // Nobody is left to tell if stderr is gone.
    let _ = std::io::stderr().write_all(message.as_bytes());
    Some(ExitCode::from(2))
}

/// Serves orders from `socket` until its other end is closed or the deadline that it set has passed,
/// then kills every descendant, and
/// only then returns and so releases `lock`.
fn launcher_main(socket: OwnedFd, lock: OwnedFd, policy: IsolationPolicy) -> ExitCode {
    // A session of its own keeps Ctrl+C and a closing terminal away: the server decides. It fails
    // only for a process that leads its group already, which was given one then.
    let _ = setsid();
    let prepared = std::env::set_current_dir("/")
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .and_then(|()| set_child_subreaper(Some(getpid())))
        .and_then(|()| signals::restore_defaults_and_block())
        .and_then(|()| ChildSignals::open());
    let _ = rustix::thread::set_name(c"flexcore-launch");
    let Ok(children) = prepared else { return ExitCode::FAILURE };
    let daemon = Daemon {
        server: socket,
        children,
        policy,
        spares: HashMap::new(),
        wanted: HashSet::from([Purpose::Program]),
        inits: HashMap::new(),
        waiting: None,
        deadline: Deadline(None),
        filters: Filters::compile(),
    };
    daemon.serve();
    tree::exterminate_descendants(|_, _| {});
    drop(lock);
    ExitCode::SUCCESS
}

/// An init and the launcher's end of the socket to it, whose closing ends the init's tree.
#[derive(Debug)]
struct Init {
    pid: Pid,
    channel: OwnedFd,
    /// How it ended, if it has been reaped already.
    ended: Option<WaitStatus>,
}

/// A spawn packet as it came from the server; its first descriptor is the control socket.
#[derive(Debug)]
struct Order {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    tries: u32,
}

/// What an init is made ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Purpose {
    /// A program.
    Program,
    /// A program in a jail.
    Jail,
}

impl Order {
    fn purpose(&self) -> Purpose {
        match self.bytes.first() {
            Some(&(JAIL_INLINE | JAIL_IN_MEMORY_FILE)) => Purpose::Jail,
            _ => Purpose::Program,
        }
    }

    /// Gives the order back for another init, or refuses it if it has had enough of them.
    fn once_more(mut self, error: Errno) -> Option<Self> {
        self.tries += 1;
        if self.tries < HAND_OVER_TRIES {
            return Some(self);
        }
        self.refuse(error);
        None
    }

    /// Tells the server that the attempt cannot be started.
    fn refuse(self, error: Errno) {
        if let Some(control) = self.descriptors.first() {
            let report = Report::Refused(Stage::Launch, error.raw_os_error());
            // If the server is gone there is nobody to tell.
            let _ = channel::send(control, &report.encode(), &[]);
        }
    }
}

#[derive(Debug)]
struct Daemon {
    server: OwnedFd,
    children: ChildSignals,
    policy: IsolationPolicy,
    /// Inits that wait for the next order, so that making their namespaces costs that order no time.
    spares: HashMap<Purpose, Init>,
    /// What to have a spare for: what there were orders for before.
    wanted: HashSet<Purpose>,
    inits: HashMap<Pid, OwnedFd>,
    waiting: Option<Order>,
    /// When it ends everything unasked, as if the server were gone.
    deadline: Deadline,
    /// The filters of jails, for every init to inherit; `None` on an architecture without them.
    filters: Option<Filters>,
}

impl Daemon {
    fn serve(mut self) {
        loop {
            while let Some(purpose) = self.lacking() {
                match self.fork_init() {
                    Ok(Forked::Launcher(init)) => {
                        self.spares.insert(purpose, init);
                    }
                    Ok(Forked::Init(channel)) => {
                        let policy = self.policy;
                        let filters = self.filters.take();
                        // Closes the init's copies of everything that is the launcher's.
                        drop(self);
                        init::run(&channel, policy, purpose, filters)
                    }
                    Err(error) => {
                        self.refuse_waiting(error);
                        break;
                    }
                }
            }
            if let Some(order) = self.waiting.take() {
                self.waiting = self.hand_over(order);
                continue;
            }
            match self.next_order() {
                Ok(Some(order)) => self.waiting = Some(order),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    /// What a spare is to be made for next: what waits for one goes first, and keeps no other
    /// waiting.
    fn lacking(&self) -> Option<Purpose> {
        let lacks = |purpose: &Purpose| !self.spares.contains_key(purpose);
        if let Some(order) = &self.waiting {
            return Some(order.purpose()).filter(lacks);
        }
        self.wanted.iter().copied().find(lacks)
    }

    fn refuse_waiting(&mut self, error: Errno) {
        if let Some(order) = self.waiting.take() {
            order.refuse(error);
        }
    }

    /// Makes an init with the strongest isolation that works here.
    fn fork_init(&mut self) -> Result<Forked, Errno> {
        let (here, there) = channel::pair()?;
        loop {
            match namespace::fork(self.policy) {
                Ok(Fork::Child) => {
                    drop(here);
                    return Ok(Forked::Init(there));
                }
                Ok(Fork::Parent(pid)) => {
                    return Ok(Forked::Launcher(Init { pid, channel: here, ended: None }));
                }
                // Short of processes or memory: that is no statement about the tier.
                Err(error @ (Errno::AGAIN | Errno::NOMEM | Errno::INTR)) => return Err(error),
                Err(error) => self.policy = self.policy.weaker().ok_or(error)?,
            }
        }
    }

    /// Gives the order to the spare init; gives it back if that init could not take it.
    fn hand_over(&mut self, order: Order) -> Option<Order> {
        self.wanted.insert(order.purpose());
        let spare = self.spares.remove(&order.purpose())?;
        let is_ready = channel::receive(&spare.channel, &mut [0], RecvFlags::empty());
        if !matches!(is_ready, Ok(Some(_))) {
            self.judge(&spare);
            return order.once_more(Errno::PERM);
        }
        let Init { pid, channel, .. } = spare;
        let descriptors: Vec<_> = order.descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
        match channel::send(&channel, &order.bytes, &descriptors) {
            Ok(()) => {
                self.inits.insert(pid, channel);
                None
            }
            Err(error) => order.once_more(error),
        }
    }

    /// Goes on with the next weaker tier if the init could not set its namespaces up (under some
    /// security modules they may be made, but not used). One that was killed says nothing about that.
    fn judge(&mut self, unready: &Init) {
        let status = unready.ended.or_else(|| {
            let waited =
                rustix::io::retry_on_intr(|| waitpid(Some(unready.pid), WaitOptions::empty()));
            waited.ok().flatten().map(|(_, status)| status)
        });
        if status.is_some_and(WaitStatus::exited) {
            self.policy = self.policy.weaker().unwrap_or(self.policy);
        }
    }

    /// Waits for what happens next: an order, a deadline, or the end of children. An error means
    /// that the server is gone, or has not spoken in time.
    fn next_order(&mut self) -> Result<Option<Order>, Errno> {
        let mut sources =
            [PollFd::new(&self.server, PollFlags::IN), PollFd::new(&self.children, PollFlags::IN)];
        let left = self.deadline.left();
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let ready = rustix::io::retry_on_intr(|| poll(&mut sources, timeout.as_ref()))?;
        if ready == 0 {
            return Err(Errno::TIMEDOUT);
        }
        let [server, children] = sources.map(|source| !source.revents().is_empty());
        if children {
            self.children.clear();
            self.reap();
        }
        if !server {
            return Ok(None);
        }
        let mut bytes = vec![0; MAX_PACKET];
        let packet = channel::receive(&self.server, &mut bytes, RecvFlags::DONTWAIT)?;
        let packet = packet.ok_or(Errno::PIPE)?;
        bytes.truncate(packet.length);
        if let Some(deadline) = Deadline::decode(&bytes) {
            self.deadline = deadline;
            return Ok(None);
        }
        // What was sent before a pause of the server must not start after it.
        if self.deadline.left() == Some(Duration::ZERO) {
            return Err(Errno::TIMEDOUT);
        }
        Ok(Some(Order { bytes, descriptors: packet.descriptors, tries: 0 }))
    }

    /// Reaps the children that have ended: inits, and orphans of inits that were killed.
    fn reap(&mut self) {
        let mut strays_are_possible = false;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            strays_are_possible |= self.forget(pid, status);
        }
        if strays_are_possible {
            let spares = self.spares.values().map(|init| init.pid);
            let kept: HashSet<Pid> = self.inits.keys().copied().chain(spares).collect();
            tree::kill_stray_children(&kept);
        }
    }

    /// Whether the end of this child can have left processes to the launcher: an init that could not
    /// end its tree itself, or one of its orphans, whose own children come to the launcher only when
    /// it ends.
    fn forget(&mut self, pid: Pid, status: WaitStatus) -> bool {
        if let Some(spare) = self.spares.values_mut().find(|init| init.pid == pid) {
            // The next order finds it unready; making another at once could go on for ever.
            spare.ended = Some(status);
            return false;
        }
        self.inits.remove(&pid).is_none() || status.terminating_signal().is_some()
    }
}

/// Which side of a fork this is.
#[derive(Debug)]
enum Forked {
    Launcher(Init),
    Init(OwnedFd),
}
