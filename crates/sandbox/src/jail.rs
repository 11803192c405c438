//! The jail: what a program that nobody here wrote may see, reach and use.
//!
//! [`JailSpec`] says what a jail is to be. [`Jailer::spawn`] makes one around a program and answers
//! with a [`SandboxReport`] of what the kernel really enforces; where that is less than the spec
//! requires, the program does not start. [`probe()`] says beforehand what a machine can enforce.
//!
//! Who does what: the server makes control groups and keeps them, resolves names and connects; the
//! attempt's init builds the jail around itself (`daemon::jail`); the program's process locks itself
//! in as its last act before exec.

mod attempt;
mod cgroup;
mod egress;
mod error;
mod jailed;
mod jailer;
pub(crate) mod probe;
pub(crate) mod report;
pub(crate) mod spec;
mod users;
pub(crate) mod verified;
mod watchdog;
pub(crate) mod wire;

pub use egress::GrantUse;
pub use error::JailError;
pub use jailed::{JailExit, Jailed};
pub use jailer::{Jailer, JailerOptions, SpawnCounts};
pub use probe::{ProbeError, probe};
pub use report::{Control, ControlName, ControlState, SandboxReport, Tier};
pub use spec::{
    Access, Bind, HostPort, JailSpec, Limits, Network, Profile, SECRETS_VARIABLE, Secret,
};
pub use verified::{FileIdentity, VerifiedFile, VerifyError};
