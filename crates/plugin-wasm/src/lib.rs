//! Calls plugins that are WebAssembly: components of the world `flexcore:plugin/plugin`, and modules
//! of the Extism ABI.
//!
//! Each call runs in a fresh instance that is thrown away afterwards. It can compute, and ask its
//! host for what it was granted: requests, secrets, what it kept, lines of the log, folders and
//! variables by WASI. Its time, memory, stack, instructions and answer are bounded.
//!
//! * **Compiled once.** [`WasmHost::initialize`](flexcore_ports::PluginHost::initialize) compiles a
//!   plugin, in a jailed process that is killed when it takes too long. The code is kept in the
//!   state folder behind a keyed hash of the host's; other code is never loaded (`cache`).
//! * **In a worker.** A guest runs in a jailed process, one for each plugin, set of rights and
//!   tenant, which has no network and sees no file but its code and what was granted. The host and
//!   its worker speak in frames over two pipes (`wire`). Only where a plugin's manifest asks for it
//!   and the operator trusts the plugin ([`WasmOptions::in_process`]) it runs in the host's process.
//! * **Never in the way.** A guest that computes yields to others every few milliseconds
//!   (`ticker`), so that it can be timed and cancelled, and cannot stop the runtime.
//!
//! # What it must not know
//!
//! Steps, retries, circuits, and where plugins are kept: a [`CallablePlugin`] comes in, one try is
//! made, an end comes out.
//!
//! # How to add the usual next thing
//!
//! * Something a guest may ask its host for: a method of `services::Services`, its answer and its
//!   count in `broker`, a variant of `wire::Ask` and `wire::Reply`; then the function in
//!   `guest/component.rs` and in `guest/extism/`.
//! * A bound of a call: a field of `task::Bounds`, its value in `host.rs`, and what exceeding it is
//!   called in `guest/outcome.rs`.
//!
//! [`CallablePlugin`]: flexcore_ports::CallablePlugin

mod broker;
mod cache;
mod compile;
mod engine;
mod failure;
mod guest;
mod host;
mod options;
mod remote;
mod services;
mod task;
mod ticker;
mod wire;
mod worker;

pub use compile::CompileBudget;
pub use host::WasmHost;
pub use options::WasmOptions;
pub use worker::{WORKER, run_if_worker, run_worker};
