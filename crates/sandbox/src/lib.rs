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
//! # How to restrict programs further
//!
//! The jail (mounts, Landlock, seccomp, cgroups, limits) belongs between fork and exec: describe it
//! in `wire::Order`, apply what needs the namespace in `daemon::namespace::furnish` and what must be
//! last in `daemon::init`, and report what was enforced in `wire::Report::Started`.

mod channel;
mod daemon;
mod isolation;
mod jail;
mod launcher;
mod lock;
mod output;
mod process;
mod spawn;
mod status;
mod tree;
mod wire;

pub use daemon::run_if_launcher;
pub use isolation::{Isolation, IsolationPolicy};
pub use jail::{
    Access, Bind, Control, ControlName, ControlState, GrantUse, HostPort, JailError, JailExit,
    JailSpec, Jailed, Jailer, JailerOptions, Limits, Network, ProbeError, Profile,
    SECRETS_VARIABLE, SandboxReport, Secret, Tier, probe,
};
pub use launcher::{Launcher, LauncherError, LauncherGone, LauncherOptions};
pub use lock::{LauncherLockError, wait_for_launcher};
pub use output::{LastLines, read_lines};
pub use process::{Process, Spawned};
pub use spawn::{SpawnError, SpawnRequest, Stdin};
pub use status::ExitStatus;
pub use tree::{end_processes_of_attempt, processes_of_attempt};

/// The environment variable that marks every process of an attempt.
pub const ATTEMPT_VARIABLE: &str = "FLEXCORE_ATTEMPT";
