//! Runs one attempt of a `command` step: a program or a script, as a process tree in a jail.
//!
//! The attempt gets a private folder (`FLEXCORE_WORK`), and a file in it for its output
//! (`FLEXCORE_OUTPUT`, JSON). What it prints goes to the attempt's log line by line. No process of
//! it is alive when the attempt has ended, however it ended.
//!
//! # What it must not know
//!
//! Templates, retries, deadlines, events: settings come in rendered, a deadline is a cancel, and the
//! outcome is a value. It spawns nothing itself, nor does it know how a jail is made; both are the
//! sandbox's.
//!
//! # How to add a way to say what to run
//!
//! Add a variant to `ports::attempt::CommandProgram` and its argument list to `invocation`.

mod invocation;
mod result;
mod runner;

pub use runner::JailedCommandRunner;
