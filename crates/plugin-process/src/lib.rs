//! Calls plugins that are processes: programs in jails of their own that serve gRPC, started and
//! found as HashiCorp's go-plugin does it.
//!
//! [`ProcessHost`] is the port's implementation. What a call goes through:
//!
//! 1. **Pool** (`pool`): processes that are ready, one pool for each plugin, its rights and its tenant.
//! 2. **Start** (`start`): a private folder, a jail, the handshake line, the socket in that folder,
//!    which must be a socket on which a process of that jail listens; then gRPC's health and `Info`.
//! 3. **Settings** (`config`): `Initialize`, when the process has others than the call.
//! 4. **Execution** (`execute`): one stream, chunks both ways, each held against its number, its
//!    checksum, the count of its records and the credit that was given.
//! 5. **End** (`supervisor`): whatever happens, nothing of a process is left when its end is told.
//!
//! Plugins that were written for other hosts are started, watched and asked for their health just the
//! same; `foreign` calls their methods.
//!
//! # What is believed of a plugin
//!
//! Nothing. Its first line, its socket, the headers and lengths of its answers, its numbers and its
//! silence each have a limit and a name in [`docs/errors`](../../../docs/errors). A plugin that breaks the protocol is
//! ended and replaced; one that says that it failed is used again.
//!
//! What it prints, to stdout, to stderr and over go-plugin's stdio service, goes into the logs of the
//! calls that run at that moment.
//!
//! Left out on purpose: AutoMTLS (the socket lies in a private folder, and both ends would make keys
//! for 20 ms) and net/rpc. go-plugin's broker is not served: what a plugin of ours asks of its host,
//! it says in the stream of its execution.
//!
//! # What this crate must not know
//!
//! Where plugins come from, who may call them, how often a call is tried again, and what becomes of a
//! plugin that fails again and again: that is the application's.
//!
//! # How to add the usual next thing
//!
//! * A message of an execution: its arm in `execute`'s `take`, its rules in `execute/results.rs`.
//! * A way to go wrong: a variant of `error::Fault` with code, class and blame, and its page.
//! * A question besides executions: a method of `process::PluginProcess`.

mod config;
mod error;
mod execute;
mod foreign;
mod grpc;
mod host;
mod options;
mod output;
mod pool;
mod process;
mod start;
mod supervisor;

pub use host::ProcessHost;
pub use options::ProcessOptions;
