//! The filters of system calls.
//!
//! They list what is refused: a list of what is allowed would break with every new C library, and
//! programs fall back from a refused call to an older one. Only the strict profile, and the jail's own
//! init, have a list of what is allowed. Each process gets one program with all answers.
//!
//! To refuse another call, add it to the list of its answer.

mod init;
mod lists;
mod program;
mod strict;

use seccompiler::BpfProgram;

use self::{
    lists::{ABSENT, NAMESPACES, NEVER, SYS_FCHMODAT2},
    program::{Condition, Verdict, Verdicts, assemble},
};
use crate::jail::{
    report::{Control, ControlName},
    spec::Profile,
};

/// The sockets that a program may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// None.
    Nothing,
    /// Unix sockets.
    Unix,
    /// Unix sockets, TCP and UDP; the network namespace holds where to.
    Internet,
}

/// The compiled filters, made once by the launcher, before there is anything to filter.
#[derive(Debug)]
pub(in crate::daemon) struct Filters {
    /// For the jail's own init, which does little once its program runs.
    init: BpfProgram,
    usual: BySockets,
    strict: BySockets,
}

/// A program for each choice of sockets.
#[derive(Debug)]
struct BySockets {
    nothing: BpfProgram,
    unix: BpfProgram,
    internet: BpfProgram,
}

impl Filters {
    /// `None` on an architecture that the filters do not know.
    pub(in crate::daemon) fn compile() -> Option<Self> {
        let usual = |sockets| assemble(&refused(sockets), &Verdict::Allow);
        let strict = |sockets| assemble(&strict::verdicts(&refused(sockets)), &Verdict::Kill);
        Some(Self {
            init: init::program()?,
            usual: BySockets::compile(usual)?,
            strict: BySockets::compile(strict)?,
        })
    }

    /// The filter of a profile.
    pub(super) fn program(&self, profile: Profile, sockets: Sockets) -> &BpfProgram {
        let programs = if profile == Profile::Strict { &self.strict } else { &self.usual };
        match sockets {
            Sockets::Nothing => &programs.nothing,
            Sockets::Unix => &programs.unix,
            Sockets::Internet => &programs.internet,
        }
    }

    /// Has the calling process, which is a jail's init, make no call any more but those that an
    /// init needs. It has given up the right to gain rights before.
    pub(in crate::daemon) fn hold_init(&self) -> Result<(), seccompiler::Error> {
        seccompiler::apply_filter(&self.init)
    }
}

impl BySockets {
    fn compile(program: impl Fn(Sockets) -> Option<BpfProgram>) -> Option<Self> {
        Some(Self {
            nothing: program(Sockets::Nothing)?,
            unix: program(Sockets::Unix)?,
            internet: program(Sockets::Internet)?,
        })
    }
}

/// Whether the kernel takes filters with the answer that ours give.
pub(super) fn control() -> Control {
    if is_available() {
        Control::enforced(ControlName::Seccomp)
    } else {
        Control::unavailable(ControlName::Seccomp, "the kernel takes no filter")
    }
}

#[expect(unsafe_code, reason = "seccomp has no safe wrapper that only asks")]
pub(super) fn is_available() -> bool {
    let answer = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one number.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const answer)
    };
    result == 0
}

/// What is refused, and how.
fn refused(sockets: Sockets) -> Verdicts {
    let never = NEVER.iter().map(|&call| (call, Verdict::Refuse(libc::EPERM)));
    let absent = ABSENT.iter().map(|&call| (call, Verdict::Refuse(libc::ENOSYS)));
    let mut verdicts: Verdicts = never.chain(absent).collect();
    let flags = NAMESPACES.map(libc::c_int::cast_unsigned);
    let namespaces = flags.map(|flag| vec![Condition::Is { argument: 0, mask: flag, value: flag }]);
    verdicts.insert(libc::SYS_clone, Verdict::Unless(libc::EPERM, namespaces.to_vec()));
    // Typing into a terminal, and its relatives on consoles.
    let typing = [0x5412_u32, 0x541C];
    let typing = typing.map(|value| vec![Condition::Is { argument: 1, mask: u32::MAX, value }]);
    verdicts.insert(libc::SYS_ioctl, Verdict::Unless(libc::EPERM, typing.to_vec()));
    verdicts.extend(modes().iter().map(|mode| (mode.call, refused_modes(mode))));
    verdicts.insert(libc::SYS_socket, refused_sockets(sockets));
    verdicts
}

fn refused_modes(mode: &Mode) -> Verdict {
    let mut kinds = vec![(libc::S_ISUID, libc::S_ISUID), (libc::S_ISGID, libc::S_ISGID)];
    if mode.makes_devices {
        kinds.extend([(libc::S_IFMT, libc::S_IFCHR), (libc::S_IFMT, libc::S_IFBLK)]);
    }
    let create = libc::O_CREAT.cast_unsigned();
    let creates =
        mode.flags.map(|argument| Condition::Is { argument, mask: create, value: create });
    let rule = |(mask, value)| {
        let is = Condition::Is { argument: mode.argument, mask, value };
        creates.into_iter().chain([is]).collect()
    };
    Verdict::Unless(libc::EPERM, kinds.into_iter().map(rule).collect())
}

/// A call that gives a file its mode, and which argument that is.
struct Mode {
    call: libc::c_long,
    argument: u8,
    /// The argument with the flags, for a call that sets a mode only with one of them.
    flags: Option<u8>,
    makes_devices: bool,
}

/// The calls that give a file its mode: nobody needs a file that runs with its owner's rights.
fn modes() -> Vec<Mode> {
    let mode = |call, argument| Mode { call, argument, flags: None, makes_devices: false };
    let mut modes = vec![
        mode(libc::SYS_fchmod, 1),
        mode(libc::SYS_fchmodat, 2),
        mode(SYS_FCHMODAT2, 2),
        mode(libc::SYS_mkdirat, 2),
        Mode { makes_devices: true, ..mode(libc::SYS_mknodat, 2) },
        Mode { flags: Some(2), ..mode(libc::SYS_openat, 3) },
    ];
    #[cfg(target_arch = "x86_64")]
    modes.extend([
        mode(libc::SYS_chmod, 1),
        mode(libc::SYS_mkdir, 1),
        Mode { makes_devices: true, ..mode(libc::SYS_mknod, 1) },
        mode(libc::SYS_creat, 1),
        Mode { flags: Some(1), ..mode(libc::SYS_open, 2) },
    ]);
    modes
}

fn refused_sockets(sockets: Sockets) -> Verdict {
    let families: &[libc::c_int] = match sockets {
        Sockets::Nothing => return Verdict::Refuse(libc::EAFNOSUPPORT),
        Sockets::Unix => &[libc::AF_UNIX],
        Sockets::Internet => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
    };
    let other =
        |family: &libc::c_int| Condition::IsNot { argument: 0, value: family.cast_unsigned() };
    // The lowest four bits are the type, the others are flags.
    let raw = Condition::Is { argument: 1, mask: 0xf, value: libc::SOCK_RAW.cast_unsigned() };
    Verdict::Unless(libc::EAFNOSUPPORT, vec![families.iter().map(other).collect(), vec![raw]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_compiles_and_fits_the_kernel() {
        let filters = Filters::compile().unwrap();
        for sockets in [Sockets::Nothing, Sockets::Unix, Sockets::Internet] {
            for profile in [Profile::Default, Profile::Compute, Profile::Strict] {
                let program = filters.program(profile, sockets);
                assert!((100..4_096).contains(&program.len()), "{}", program.len());
            }
        }
    }
}
