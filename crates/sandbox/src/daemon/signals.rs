//! Signals of the launcher and the inits: everything is blocked, and the end of a child is read
//! from a descriptor.
#![expect(unsafe_code, reason = "signal masks, dispositions and signalfd have no safe wrapper")]

use std::{
    mem::{MaybeUninit, size_of},
    os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd},
};

use rustix::{io::Errno, process::Signal};

/// The highest signal number on Linux (all architectures that Rust's std supports but MIPS).
const LAST_SIGNAL: i32 = 64;

/// Gives every signal its default effect, so that programs do not inherit an ignored one (SIGPIPE
/// from Rust's runtime, SIGHUP from nohup), and blocks all signals: a SIGTERM to everything must
/// not end the launcher before the server has ended its attempts in order.
pub(super) fn restore_defaults_and_block() -> Result<(), Errno> {
    // The kernel's `struct sigaction` of all zeros: SIG_DFL, no flags, an empty mask.
    let default = [0_u64; 4];
    let set_size: libc::size_t = 8;
    for signal in 1..=LAST_SIGNAL {
        // Rust's handlers for these two report a stack overflow; exec resets handlers by itself.
        if signal != libc::SIGSEGV && signal != libc::SIGBUS {
            let old = std::ptr::null_mut::<u64>();
            // SAFETY: the kernel reads one `struct sigaction`, which is no longer than `default`,
            // and writes nothing. The C library's function would refuse its own two signals, which
            // its posix_spawn leaves ignored. SIGKILL and SIGSTOP answer with an error.
            unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, set_size)
            };
        }
    }
    set_mask(libc::sigfillset)
}

/// Unblocks all signals. Makes system calls only, so that it may run between fork and exec.
pub(super) fn unblock_all() -> Result<(), Errno> {
    set_mask(libc::sigemptyset)
}

/// Sets the signal mask to what `fill` makes of a set.
fn set_mask(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> libc::c_int) -> Result<(), Errno> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `fill` initialises the set that it is given, and cannot fail on a valid pointer;
    // sigprocmask reads it. The process has one thread, whose mask this is.
    let result = unsafe {
        fill(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// A descriptor that is readable when children of the reading process have ended.
#[derive(Debug)]
pub(super) struct ChildSignals(OwnedFd);

impl ChildSignals {
    /// Opens it; SIGCHLD must be blocked.
    pub(super) fn open() -> Result<Self, Errno> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set, sigaddset and signalfd use it initialised.
        let descriptor = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), Signal::CHILD.as_raw());
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if descriptor < 0 {
            return Err(last_error());
        }
        // SAFETY: signalfd just returned this descriptor, and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(descriptor) }))
    }

    /// Takes what is there to read, so that the descriptor becomes readable with the next signal.
    pub(super) fn clear(&self) {
        let mut buffer = [0; size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|length| length > 0) {}
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Kills every process of the caller's PID namespace but the caller, which must be its init.
pub(super) fn kill_own_namespace() {
    // SAFETY: kill takes plain numbers. For the init of a namespace, -1 stands for all others in it.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

pub(super) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
