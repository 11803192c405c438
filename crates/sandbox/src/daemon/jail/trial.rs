//! The trial of a jail: a process that locks itself in as a program would, and tries to get out.
#![expect(unsafe_code, reason = "what it tries is what no safe wrapper offers")]

use std::{
    ffi::OsString,
    fs::File,
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::fd::AsFd as _,
    path::Path,
    process::ExitCode,
};

use rustix::{
    process::{WaitOptions, getpid, getuid, waitpid},
    thread::{CapabilitySet, capabilities, no_new_privs},
};

use super::{Filters, build, last_steps};
use crate::{
    IsolationPolicy, channel,
    daemon::{
        namespace::{self, Fork},
        signals,
    },
    jail::{
        report::{Control, ControlName, ControlState, SandboxReport},
        spec::JailSpec,
        wire::JailOrder,
    },
};

/// A user that no jail of a server is given.
const USER: u32 = 60_579;

/// Tries each tier and prints the report of the first that works. `argument` says whether a user of
/// its own is wanted.
pub(in crate::daemon) fn main(argument: Option<&OsString>) -> ExitCode {
    let Some(filters) = Filters::compile() else { return ExitCode::FAILURE };
    // The trial's init reaps by waiting; nothing else here needs signals.
    if signals::restore_defaults_and_block().is_err() {
        return ExitCode::FAILURE;
    }
    let own_user = argument.is_some_and(|word| word == "own-users");
    let uid = (own_user && getuid().is_root()).then_some(USER);
    let mut policy = IsolationPolicy::Strongest;
    loop {
        if let Some(report) = try_tier(policy, uid, &filters) {
            let printed = std::io::stdout().write_all(&report);
            return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        match policy.weaker() {
            Some(weaker) => policy = weaker,
            None => return ExitCode::FAILURE,
        }
    }
}

/// The report of a trial in this tier, as JSON; `None` if it does not work here.
fn try_tier(policy: IsolationPolicy, uid: Option<u32>, filters: &Filters) -> Option<Vec<u8>> {
    let (mut reader, mut writer) = std::io::pipe().ok()?;
    match namespace::fork(policy).ok()? {
        Fork::Child => {
            drop(reader);
            let report = run(policy, uid, filters);
            let report = report.and_then(|report| serde_json::to_vec(&report).ok());
            let written = report.is_some_and(|report| writer.write_all(&report).is_ok());
            std::process::exit(i32::from(!written))
        }
        Fork::Parent(pid) => {
            drop(writer);
            let mut report = Vec::new();
            let read = reader.read_to_end(&mut report);
            let waited = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
            let (_, status) = waited.ok()??;
            (read.is_ok() && status.exit_status() == Some(0)).then_some(report)
        }
    }
}

fn run(policy: IsolationPolicy, uid: Option<u32>, filters: &Filters) -> Option<SandboxReport> {
    namespace::furnish(policy).ok()?;
    let (control, _kept) = channel::pair().ok()?;
    let spec = JailSpec { required: Vec::new(), strict: false, ..JailSpec::default() };
    let order = JailOrder { spec, uid, groups: 0, controls: Vec::new(), secrets: Vec::new() };
    let (enclosure, report) = build(order, policy, None, Vec::new(), control.as_fd()).ok()?;
    let enclosure = enclosure?;
    let (profile, sockets) = enclosure.calls?;
    let program = filters.program(profile, sockets);
    last_steps(enclosure.landlocked, &[], Some(program)).ok()?;
    let SandboxReport { tier, mut controls, .. } = report;
    for control in &mut controls {
        if control.state == ControlState::Enforced
            && let Some(how) = escape(control.name, uid)
        {
            control.state = ControlState::Unavailable;
            control.detail = Some(format!("a trial got through: {how}"));
        }
    }
    if controls.contains(&Control::enforced(ControlName::NetNs)) {
        controls.push(Control::enforced(ControlName::Egress).via("listeners"));
    }
    note_thread_sync(&mut controls, program);
    Some(SandboxReport::conclude(tier, controls, &[]))
}

/// How this process gets past a control that is said to hold it; `None` if it does not.
fn escape(name: ControlName, uid: Option<u32>) -> Option<&'static str> {
    let (got_through, how) = match name {
        ControlName::PidNs => (!getpid().is_init(), "it has a number of the machine"),
        ControlName::Root => (Path::new("/sys").exists(), "the machine's /sys is there"),
        ControlName::Proc => {
            (Path::new("/proc/sys").exists(), "settings of the machine are in /proc")
        }
        ControlName::NetNs => (can_send(), "a packet found a way out"),
        ControlName::Uid => (uid != Some(getuid().as_raw()), "it has another user"),
        ControlName::Capabilities => {
            let left = capabilities(None).map(|sets| sets.effective | sets.permitted);
            (left != Ok(CapabilitySet::empty()), "it has capabilities")
        }
        ControlName::NoNewPrivs => (no_new_privs() != Ok(true), "it may gain rights"),
        ControlName::LandlockFs => {
            (File::create("/created").is_ok() || File::open("/etc/shadow").is_ok(), "a file opened")
        }
        ControlName::LandlockNet => (TcpListener::bind("127.0.0.1:0").is_ok(), "a port was bound"),
        ControlName::Seccomp => (filter_leaks(), "a refused call was carried out"),
        ControlName::Rlimits => {
            let far = JailSpec::default().limits.open_files.cast_signed();
            let duplicate = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), far);
            (duplicate.is_ok(), "a descriptor beyond the limit")
        }
        _ => return None,
    };
    got_through.then_some(how)
}

/// Whether an address of the internet can be reached at all; nothing is sent.
fn can_send() -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0");
    socket.is_ok_and(|socket| socket.connect("192.0.2.1:9").is_ok())
}

/// Whether a call that the filters refuse is carried out.
fn filter_leaks() -> bool {
    // SAFETY: each call is given arguments that change nothing, should it be carried out: a user
    // namespace for this process alone, which ends now, and requests without memory.
    let results = unsafe {
        [
            libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            libc::syscall(libc::SYS_keyctl, 0, -1, 0),
            libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0),
        ]
    };
    results.iter().any(|&result| result >= 0)
}

/// Notes whether a filter can be given to all threads at once.
fn note_thread_sync(controls: &mut [Control], program: &seccompiler::BpfProgram) {
    let synchronises = seccompiler::apply_filter_all_threads(program).is_ok();
    for control in controls.iter_mut().filter(|control| control.name == ControlName::Seccomp) {
        let word = if synchronises { "tsync" } else { "no tsync" };
        control.detail = Some(word.to_owned());
    }
}
