//! The calls of a jail's init once its program runs: it waits, reaps, hears demands, reports, and
//! ends what is left. Whoever got hold of it would get hold of nothing else.

use seccompiler::BpfProgram;

use super::program::{Verdict, Verdicts, assemble};

const ALLOWED: &[libc::c_long] = &[
    // Waiting for demands, children and the launcher's end.
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_wait4,
    libc::SYS_waitid,
    // Ending.
    libc::SYS_kill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_close,
    libc::SYS_exit_group,
    // Looking for processes in /proc, where there is no namespace to end as one.
    libc::SYS_openat,
    libc::SYS_getdents64,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_pread64,
    // Memory, and what the standard library does at the end.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_tgkill,
    libc::SYS_restart_syscall,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

pub(super) fn program() -> Option<BpfProgram> {
    let verdicts: Verdicts = ALLOWED.iter().map(|&call| (call, Verdict::Allow)).collect();
    assemble(&verdicts, &Verdict::Refuse(libc::EPERM))
}
