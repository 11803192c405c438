//! The filters of system calls.
//!
//! A filter has one answer for what it matches, so there is one filter for each answer; the kernel
//! asks them all and the strictest wins. They list what is refused: a list of what is allowed would
//! break with every new C library, and programs fall back from a refused call to an older one.
//!
//! To refuse another call, add it to the list of its answer.

mod init;
mod strict;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
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

/// Refused with EPERM, whatever the arguments.
const NEVER: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Wide doors into the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_lookup_dcookie,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_personality,
    // Files by handle, past all paths.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Memory of the machine.
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Identity.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Refused as if the kernel did not have them, so that programs fall back: their arguments lie in
/// memory, where no filter can look.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// It has this number on every architecture, and no name in the library yet.
const SYS_FCHMODAT2: libc::c_long = 452;

/// The flags of clone(2) that make a namespace.
const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80, // CLONE_NEWTIME
];

/// The compiled filters, made once by the launcher, before there is anything to filter.
#[derive(Debug)]
pub(in crate::daemon) struct Filters {
    /// For the jail's own init, which does little once its program runs.
    init: BpfProgram,
    shared: Vec<BpfProgram>,
    strict: BpfProgram,
    nothing: BpfProgram,
    unix: BpfProgram,
    internet: BpfProgram,
}

impl Filters {
    /// `None` on an architecture that the filters do not know.
    pub(in crate::daemon) fn compile() -> Option<Self> {
        let programs = [foreign_calls(), refused()?, absent()?];
        Some(Self {
            shared: programs.into_iter().filter(|program| !program.is_empty()).collect(),
            init: init::program()?,
            strict: strict::program()?,
            nothing: refused_sockets(Sockets::Nothing)?,
            unix: refused_sockets(Sockets::Unix)?,
            internet: refused_sockets(Sockets::Internet)?,
        })
    }

    /// The filters of a profile, in any order: the strictest answer wins.
    pub(super) fn programs(&self, profile: Profile, sockets: Sockets) -> Vec<BpfProgram> {
        let of_sockets = match sockets {
            Sockets::Nothing => &self.nothing,
            Sockets::Unix => &self.unix,
            Sockets::Internet => &self.internet,
        };
        let strict = (profile == Profile::Strict).then_some(&self.strict);
        self.shared.iter().chain([of_sockets]).chain(strict).cloned().collect()
    }

    /// Has the calling process, which is a jail's init, make no call any more but those that an
    /// init needs. It has given up the right to gain rights before.
    pub(in crate::daemon) fn hold_init(&self) -> Result<(), seccompiler::Error> {
        seccompiler::apply_filter(&self.init)
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

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn compile(rules: Rules, answer: i32) -> Option<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).ok()?;
    let answer = SeccompAction::Errno(answer.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).ok()?.try_into().ok()
}

fn argument(index: u8, operator: SeccompCmpOp, value: u32) -> Option<SeccompCondition> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value.into()).ok()
}

/// A rule that matches if the argument is `bits` as far as `mask` looks.
fn masked(index: u8, mask: u32, bits: u32) -> Option<SeccompRule> {
    SeccompRule::new(vec![condition(index, mask, bits)?]).ok()
}

fn condition(index: u8, mask: u32, bits: u32) -> Option<SeccompCondition> {
    argument(index, SeccompCmpOp::MaskedEq(mask.into()), bits)
}

fn refused() -> Option<BpfProgram> {
    let mut rules: Rules = NEVER.iter().map(|&call| (call, Vec::new())).collect();
    let namespaces =
        NAMESPACES.iter().map(|flag| masked(0, flag.cast_unsigned(), flag.cast_unsigned()));
    rules.insert(libc::SYS_clone, namespaces.collect::<Option<_>>()?);
    // Typing into a terminal, and its relatives on consoles.
    let typing = [0x5412_u32, 0x541C].map(|request| masked(1, u32::MAX, request));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Option<_>>()?);
    for Mode { call, argument, flags, makes_devices } in modes() {
        let mut kinds = vec![(libc::S_ISUID, libc::S_ISUID), (libc::S_ISGID, libc::S_ISGID)];
        if makes_devices {
            kinds.extend([(libc::S_IFMT, libc::S_IFCHR), (libc::S_IFMT, libc::S_IFBLK)]);
        }
        let create = libc::O_CREAT.cast_unsigned();
        let creates = flags.map(|flags| condition(flags, create, create));
        let refused = kinds.into_iter().map(|(mask, bits)| {
            let conditions = creates.clone().into_iter().chain([condition(argument, mask, bits)]);
            SeccompRule::new(conditions.collect::<Option<_>>()?).ok()
        });
        rules.insert(call, refused.collect::<Option<_>>()?);
    }
    compile(rules, libc::EPERM)
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

fn absent() -> Option<BpfProgram> {
    compile(ABSENT.iter().map(|&call| (call, Vec::new())).collect(), libc::ENOSYS)
}

fn refused_sockets(sockets: Sockets) -> Option<BpfProgram> {
    let families: &[libc::c_int] = match sockets {
        Sockets::Nothing => &[],
        Sockets::Unix => &[libc::AF_UNIX],
        Sockets::Internet => &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6],
    };
    let other = families
        .iter()
        .map(|family| argument(0, SeccompCmpOp::Ne, family.cast_unsigned()))
        .collect::<Option<Vec<_>>>()?;
    let mut refused = Vec::new();
    if !other.is_empty() {
        refused.push(SeccompRule::new(other).ok()?);
        // The lowest four bits are the type, the others are flags.
        refused.push(masked(1, 0xf, libc::SOCK_RAW.cast_unsigned())?);
    }
    compile(Rules::from([(libc::SYS_socket, refused)]), libc::EAFNOSUPPORT)
}

/// Kills who calls by the numbers of x32: they pass for the architecture's own, and no list of
/// numbers names them. Other architectures have no such numbers.
fn foreign_calls() -> BpfProgram {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let statement = |code: u32, k: u32| instruction(code, 0, 0, k);
    vec![
        // The number of the call is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, 0x4000_0000),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ]
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // The codes above are far below 2^16.
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_compiles_and_fits_the_kernel() {
        let filters = Filters::compile().unwrap();
        for sockets in [Sockets::Nothing, Sockets::Unix, Sockets::Internet] {
            for profile in [Profile::Default, Profile::Compute, Profile::Strict] {
                let programs = filters.programs(profile, sockets);
                let instructions: usize = programs.iter().map(Vec::len).sum();
                assert!(programs.iter().all(|program| program.len() < 4_096));
                assert!(instructions > 100, "{instructions}");
            }
        }
    }
}
