//! The control socket: how other processes reach the one that writes a store.
//!
//! `.flexcore/control.sock` takes one JSON line per connection and answers with one. It has mode
//! 0600 and the peer must have our uid. It is bound and reached through its folder's descriptor
//! (`/proc/self/fd/N/control.sock`), because a socket's path may have only 108 bytes.

mod client;
mod server;

use flexcore_api::{CommandEnvelope, ErrorBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use client::ask;
pub(crate) use server::ControlServer;

/// The socket's name in the state folder.
const SOCKET: &str = "control.sock";

/// The longest line that either side reads, in bytes.
const MAX_LINE: u64 = 64 * 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Bring the views up to date.
    CatchUp,
    /// Carry out a command.
    Command(CommandEnvelope),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// The reply of the command; null for `catch_up`.
    Reply(Value),
    /// Why not.
    Error(ErrorBody),
}
