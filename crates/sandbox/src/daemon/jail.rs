//! The jail, as the init of an attempt builds it around itself before it starts the program.
//!
//! The order of the steps matters: groups first, so that everything after counts; listeners while
//! the init may still bind any port; mounts while it may mount; rights are given up after that; and
//! what would stop the init from doing its own work (Landlock, system call filters) comes last, in
//! the program's process, between fork and exec.

mod denials;
mod filter;
mod idmap;
mod landlocked;
mod limits;
mod mounts;
mod network;
mod pinned;
mod privileges;
mod ready;
pub(super) mod trial;

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
        unix::process::CommandExt as _,
    },
    process::Command,
};

use rustix::{
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    process::{Signal, set_parent_process_death_signal},
    thread::UnshareFlags,
};

pub(crate) use self::landlocked::abi as landlock_abi;
pub(super) use self::{denials::Denials, filter::Filters, ready::Ready};
use self::{filter::Sockets, landlocked::Landlocked, pinned::Pinned};
use crate::{
    IsolationPolicy, channel,
    jail::{
        report::{Control, ControlName, ControlState, SandboxReport, Tier},
        spec::{JailSpec, Network, Profile, SECRETS_VARIABLE},
        wire::{JailOrder, Message},
    },
};

/// The descriptors of secrets begin here: above what a program or the standard library opens before
/// the program runs.
const FIRST_SECRET: RawFd = 64;

/// A step that failed.
#[derive(Debug)]
struct Failed {
    step: &'static str,
    what: String,
    error: io::Error,
}

impl Failed {
    fn new(step: &'static str, what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self { step, what: what.into(), error: error.into() }
    }

    fn message(&self) -> Message {
        let errno = self.error.raw_os_error().unwrap_or(libc::EIO);
        Message::Failed { step: self.step.to_owned(), what: self.what.clone(), errno }
    }

    /// Tells the server, and returns the error.
    #[expect(unsafe_code, reason = "a copy of the init borrows its descriptor by number")]
    fn tell(self, control: RawFd) -> io::Error {
        // SAFETY: the descriptor is open: this runs in the process that lends it, or in a copy.
        let control = unsafe { BorrowedFd::borrow_raw(control) };
        // If the server is gone, there is nobody to tell, and the start fails all the same.
        let _ = channel::send(control, &self.message().encode(), &[]);
        self.error
    }
}

/// A jail that stands, but for what the program's own process must do.
#[derive(Debug)]
pub(super) struct Enclosure {
    landlocked: Option<Landlocked>,
    /// Which system calls, where any are refused.
    calls: Option<(Profile, Sockets)>,
    secrets: Vec<OwnedFd>,
    secrets_variable: String,
    /// The files that were verified.
    pinned: Vec<Pinned>,
    /// What counts the attempts to reach what was not granted.
    pub(super) denials: Option<Denials>,
}

/// Builds the jail around the calling process, and tells the server what came of it.
///
/// # Errors
/// The jail does not stand, and the server knows why; the program must not start.
pub(super) fn enclose(
    order: JailOrder,
    policy: IsolationPolicy,
    ready: Option<Ready>,
    descriptors: Vec<OwnedFd>,
    control: BorrowedFd<'_>,
) -> Result<Enclosure, Errno> {
    let message = match build(order, policy, ready, descriptors, control) {
        Ok((enclosure, report)) => {
            let refused = enclosure.is_none();
            channel::send(control, &Message::Built { report, refused }.encode(), &[])?;
            return enclosure.ok_or(Errno::PERM);
        }
        Err(failed) => failed.message(),
    };
    channel::send(control, &message.encode(), &[])?;
    Err(Errno::PERM)
}

/// `None` for the enclosure if a control is missing that must be there.
fn build(
    order: JailOrder,
    policy: IsolationPolicy,
    ready: Option<Ready>,
    mut descriptors: Vec<OwnedFd>,
    control: BorrowedFd<'_>,
) -> Result<(Option<Enclosure>, SandboxReport), Failed> {
    let JailOrder { spec, uid, groups, mut controls, secrets } = order;
    if descriptors.len() != groups + secrets.len() {
        return Err(Failed::new("order", "its descriptors", Errno::BADMSG));
    }
    let pipes = descriptors.split_off(groups);
    if spec.off {
        let enclosure = Enclosure::with_secrets(&secrets, pipes)?;
        return Ok((Some(enclosure), SandboxReport::conclude(Tier::None, Vec::new(), &[])));
    }
    join(descriptors)?;
    limits::volunteer_for_oom();
    let namespaces = policy != IsolationPolicy::ProcessGroup;
    let mut ready = ready.unwrap_or_else(|| Ready::make(policy));
    if namespaces {
        ready.leave(UnshareFlags::NEWCGROUP, ControlName::CgroupNs);
        controls.retain(|control| control.name != ControlName::CgroupKill);
        controls.push(Control::enforced(ControlName::CgroupKill).via("pid_ns"));
    }
    controls.extend(ready.controls);
    let has_network = ready.network.is_some();
    let mut denials = None;
    if let Some(own) = ready.network {
        network::listen(&own.socket, spec.network.grants(), control)?;
        denials = own.denials;
    }
    if !spec.network.grants().is_empty() {
        controls.push(egress(&spec, has_network));
    }
    let own_user = privileges::user_to_become(uid, policy);
    let (own_user, no_own_user) = show_files(&spec, own_user, namespaces, &mut controls)?;
    // While what its owner alone may read can be read.
    let pinned = pinned::open_all(&spec, namespaces)?;
    controls.extend(privileges::drop_all(own_user, no_own_user)?);
    let alone = own_user.is_some() || policy == IsolationPolicy::UserNamespace;
    let has_group = controls.iter().any(|control| control.name == ControlName::Pids);
    let counted = limits::Counted::of(alone, has_group);
    controls.extend(limits::apply(&spec.limits, counted)?);
    limits::stand_in(&mut controls, &spec.limits, counted);
    let landlocked = Landlocked::prepare(&spec, namespaces, has_network)
        .map_err(|error| Failed::new("landlock", error, Errno::INVAL))?;
    controls.extend(Landlocked::controls(namespaces, has_network));
    controls.push(filter::control());

    let tier = tier_of(policy, &controls);
    let report = SandboxReport::conclude(tier, controls, &required(&spec));
    // An address list that cannot be held is no list at all, whatever the caller would put up with.
    let unheld = !spec.ports_will_do && report.missing().contains(&ControlName::Egress);
    if unheld || (spec.strict && !report.strict_ok) {
        return Ok((None, report));
    }
    let calls = Some((spec.profile, sockets(&spec, has_network)));
    let enclosure = Enclosure::with_secrets(&secrets, pipes)?;
    Ok((Some(Enclosure { landlocked, calls, pinned, denials, ..enclosure }), report))
}

/// Shows the program what it may see. Returns the user that it can be, and why it cannot be the one
/// that it should have been.
fn show_files(
    spec: &JailSpec,
    own_user: Option<u32>,
    namespaces: bool,
    controls: &mut Vec<Control>,
) -> Result<(Option<u32>, Option<String>), Failed> {
    // A file that is mapped must not become one that runs with its owner's rights.
    if namespaces && filter::is_available() {
        let furnished = mounts::furnish(spec, own_user)?;
        controls.extend(furnished.controls);
        return Ok((furnished.user, furnished.unmapped));
    }
    let usable = mounts::usable_as_they_are(spec, own_user);
    if namespaces {
        controls.extend(mounts::furnish(spec, None)?.controls);
    }
    Ok(usable)
}

fn sockets(spec: &JailSpec, has_network: bool) -> Sockets {
    match (spec.profile, &spec.network) {
        (Profile::Compute, _) => Sockets::Nothing,
        (_, Network::None) if !has_network => Sockets::Unix,
        _ => Sockets::Internet,
    }
}

/// What holds the program to the addresses that are granted.
fn egress(spec: &JailSpec, has_network: bool) -> Control {
    let ports_hold = landlock_abi().is_some_and(|version| version >= 4);
    if has_network {
        Control::enforced(ControlName::Egress).via("listeners")
    } else if spec.ports_will_do && ports_hold {
        Control::new(ControlName::Egress, ControlState::BestEffort)
            .via("landlock")
            .detail("there is no network namespace: only the ports are held, not the hosts")
    } else {
        Control::unavailable(ControlName::Egress, "there is no network namespace")
    }
}

fn required(spec: &JailSpec) -> Vec<ControlName> {
    let egress = (!spec.network.grants().is_empty()).then_some(ControlName::Egress);
    spec.required.iter().copied().chain(egress).collect()
}

fn tier_of(policy: IsolationPolicy, controls: &[Control]) -> Tier {
    let holds = |name| controls.iter().any(|entry| *entry == Control::enforced(name));
    match policy {
        IsolationPolicy::Strongest => Tier::Root,
        IsolationPolicy::UserNamespace => Tier::UserNs,
        IsolationPolicy::ProcessGroup
            if landlock_abi().is_some() || holds(ControlName::Seccomp) =>
        {
            Tier::Restricted
        }
        IsolationPolicy::ProcessGroup => Tier::None,
    }
}

/// Enters the control groups. The descriptors were opened by the server, whose rights count.
fn join(groups: Vec<OwnedFd>) -> Result<(), Failed> {
    for group in groups {
        // Zero stands for the writing process, whatever its number is there.
        std::fs::File::from(group)
            .write_all(b"0")
            .map_err(|error| Failed::new("cgroups", "entering a control group", error))?;
    }
    Ok(())
}

/// Moves the pipes to numbers that the program is told, and words them.
fn place_secrets(names: &[String], pipes: Vec<OwnedFd>) -> Result<(Vec<OwnedFd>, String), Errno> {
    let mut placed = Vec::with_capacity(pipes.len());
    let mut variable = String::new();
    for (name, pipe) in names.iter().zip(pipes) {
        let pipe = fcntl_dupfd_cloexec(&pipe, FIRST_SECRET)?;
        let comma = if variable.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(variable, "{comma}{name}={}", pipe.as_raw_fd());
        placed.push(pipe);
    }
    Ok((placed, variable))
}

impl Enclosure {
    /// One that hands over secrets and holds nothing.
    fn with_secrets(names: &[String], pipes: Vec<OwnedFd>) -> Result<Self, Failed> {
        let (secrets, secrets_variable) = place_secrets(names, pipes)
            .map_err(|error| Failed::new("secrets", "their descriptors", error))?;
        Ok(Self {
            landlocked: None,
            calls: None,
            secrets,
            secrets_variable,
            pinned: Vec::new(),
            denials: None,
        })
    }

    /// Whether it holds anything.
    pub(super) const fn is_closed(&self) -> bool {
        self.calls.is_some()
    }

    /// Has the process of `command` lock itself in as its last act before exec.
    #[expect(unsafe_code, reason = "code between fork and exec has no safe interface")]
    pub(super) fn lock_in(
        self,
        command: &mut Command,
        filters: Option<&Filters>,
        control: RawFd,
    ) -> io::Result<()> {
        if !self.secrets_variable.is_empty() {
            command.env(SECRETS_VARIABLE, OsString::from(&self.secrets_variable));
        }
        let absent = || io::Error::from_raw_os_error(libc::ENOSYS);
        let program = match self.calls {
            Some((profile, sockets)) => {
                Some(filters.ok_or_else(absent)?.program(profile, sockets).clone())
            }
            None => None,
        };
        let Self { mut landlocked, secrets, pinned, .. } = self;
        let by_descriptor = pinned::ByDescriptor::new(&pinned, command);
        let by_descriptor = by_descriptor.map_err(|failed| failed.tell(control))?;
        let lock_in = move || -> io::Result<()> {
            last_steps(landlocked.take(), &secrets, program.as_ref())
                .map_err(|failed| failed.tell(control))?;
            match &by_descriptor {
                Some(program) => Err(program.become_it()),
                None => Ok(()),
            }
        };
        // SAFETY: the init has one thread, so the child may do what any process may.
        unsafe { command.pre_exec(lock_in) };
        Ok(())
    }
}

fn last_steps(
    landlocked: Option<Landlocked>,
    secrets: &[OwnedFd],
    program: Option<&seccompiler::BpfProgram>,
) -> Result<(), Failed> {
    // Giving up rights has cleared it, and in a namespace the init's death is enough; this is the
    // second lock on that door.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failed::new("process", "the death signal", error))?;
    limits::close_on_exec_from(3).map_err(|error| Failed::new("process", "descriptors", error))?;
    for secret in secrets {
        fcntl_setfd(secret.as_fd(), FdFlags::empty())
            .map_err(|error| Failed::new("secrets", "a descriptor", error))?;
    }
    if let Some(landlocked) = landlocked {
        landlocked.enforce().map_err(|what| Failed::new("landlock", what, Errno::PERM))?;
    }
    if let Some(program) = program {
        seccompiler::apply_filter(program)
            .map_err(|error| Failed::new("seccomp", error.to_string(), Errno::PERM))?;
    }
    Ok(())
}
