//! The runner on a real store: what happens when it dies after any append, when somebody cancels,
//! when two claim at once.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod crash;
mod leases;
mod pipelines;
mod plugin_steps;
mod projections;
mod replay;
mod runs;
mod stage;
mod tenants;
