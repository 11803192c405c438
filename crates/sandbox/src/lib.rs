//! The launcher: every child process of FlexCore is spawned, watched and ended here.
//!
//! A server full of threads must not fork: the child of a fork has one thread and the locks of all
//! of them, and a death signal follows the thread that forked, not the process. So a server starts
//! one **launcher**, an exec of its own binary with a single thread and an empty environment, and
//! sends it orders over a socket. Per attempt the launcher forks an **init**, which runs the program
//! in a PID namespace of its own where the machine allows it, and in a session of its own under a
//! subreaper elsewhere ([`Isolation`] says which it was). The init then speaks with the server
//! directly.
//!
//! What can be relied on:
//!
//! * When [`Process::wait`] or [`Process::kill`] returns, no process of the attempt is alive: not a
//!   daemon, not one that ignores SIGTERM, not one in another session.
//! * When the server dies, however it dies, its sockets close; inits and launcher kill everything
//!   below them, and only then the lock file becomes free. [`wait_for_launcher`] waits for that.
//! * When the server is stopped rather than dead, everything ends at the deadline that it set with
//!   [`Launcher::end_all_at`].
//! * A program sees the environment that its order names, `FLEXCORE_ATTEMPT`, and nothing else of
//!   the server's: no descriptor, signal mask, ignored signal or controlling terminal.
//!
//! # What it must not know
//!
//! Steps, plugins, pipelines, logs: an order is an argument list, a folder and an environment. It
//! decides nothing about time either: when to terminate and when to kill is the caller's business,
//! as is the deadline after which nobody waits for the caller any more.
//!
//! # The jail
//!
//! A [`Jailer`] starts programs that nobody here wrote. What such a program may see, reach and use is
//! a [`JailSpec`]; what the kernel holds of it is a [`SandboxReport`], control by control. A strict
//! spec refuses the program where a required control does not hold. Machines differ, so nothing is
//! concluded from versions: [`probe()`] builds a jail and tries to get out of it.
//!
//! Things to know before relying on it:
//!
//! * Where the server is root, the program is a user that owns nothing, and what it is shown is
//!   mounted with its owner mapped to that user: it reads and writes as the owner would, and what it
//!   makes is the owner's. Only one owner is mapped for each bind, that of the file or folder itself.
//!   Where a file system maps no owners the program is the server's user, without capabilities.
//! * Landlock holds no modes, owners and times of files. Where there are mount namespaces nothing
//!   foreign has a path; in the restricted tier a program can change the modes of its own user's
//!   files anywhere.
//! * Landlock before version 9 does not hold connections to Unix sockets by path. Where there are
//!   mount namespaces no foreign socket has a path; in the restricted tier it does.
//! * Without control groups, memory is a limit for each process and a look at all of them ten times a
//!   second: against accidents.
//!
//! Whoever starts programs for plugins and steps does it by a [`Containment`]: made from what they
//! may do and what the operator wants, it holds them where there is a jail, starts them without one
//! where the operator said so, and words both for the trail of audits.
//!
//! # How to add a control
//!
//! A name and its remedy in `jail::report`, its setting in `jail::spec`, the step in `daemon::jail`
//! (rights are dropped late, filters last), an attempt in `daemon::jail::trial`, and an attempt in
//! `tests/fixtures/escape.c`. Files of a group belong to `jail::cgroup::settings`.

mod channel;
mod containment;
mod daemon;
mod isolation;
mod jail;
mod launcher;
mod lock;
mod output;
mod process;
mod spawn;
mod status;
mod surroundings;
mod tree;
mod wire;

pub use containment::{Containment, ContainmentError, SandboxMode, SandboxPolicy};
pub use daemon::run_if_launcher;
pub use isolation::{Isolation, IsolationPolicy};
pub use jail::{
    Access, Bind, Control, ControlName, ControlState, FileIdentity, GrantUse, HostPort, JailError,
    JailExit, JailSpec, Jailed, Jailer, JailerOptions, Limits, Network, ProbeError, Profile,
    SECRETS_VARIABLE, SandboxReport, Secret, SpawnCounts, Tier, VerifiedFile, VerifyError, probe,
};
pub use launcher::{Launcher, LauncherError, LauncherGone, LauncherOptions};
pub use lock::{LauncherLockError, wait_for_launcher};
pub use output::{LastLines, read_lines};
pub use process::{Process, Spawned};
pub use spawn::{SpawnError, SpawnRequest, Stdin};
pub use status::ExitStatus;
pub use surroundings::{
    Housed, HousingError, ProjectJailer, ProjectJailerOptions, Surroundings, out_of_memory_text,
};
pub use tree::{end_processes_of_attempt, processes_of_attempt};

/// The environment variable that marks every process of an attempt.
pub const ATTEMPT_VARIABLE: &str = "FLEXCORE_ATTEMPT";
