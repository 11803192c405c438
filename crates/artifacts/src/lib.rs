//! Outputs, artifacts and attempt logs in local folders.
//!
//! * [`FolderArtifacts`] keeps bytes under their SHA-256, durably: what it answered with a hash
//!   survives a crash of the machine, and what it gives back has been checked.
//! * [`FolderLogs`] keeps what attempts print, as JSON lines. Logs are for people: they survive
//!   the process but not necessarily the machine, they are masked, and a disk that is full costs
//!   lines, never the attempt.
//!
//! Everything is made for its owner alone (folders 0700, files 0600).
//!
//! # What this crate must not know
//!
//! Events, pipelines and processes: it is given names, bytes and lines. The time comes from the
//! `Clock` port, what to hide from the `Mask` port.
//!
//! # How to add another home
//!
//! An object store for artifacts, say, is a crate of its own for that technology; what it shares
//! with this one is the port and its contract, not code.

mod artifacts;
mod folder;
mod logs;

pub use artifacts::{FolderArtifacts, MAX_ARTIFACT_BYTES};
pub use logs::{FolderLogs, LogOptions};
