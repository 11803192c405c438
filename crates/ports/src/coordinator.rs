//! Leases: the right to act for a time.
//!
//! A lease only decides who may try. What keeps a late owner from doing harm is the fence: every
//! write carries a number that the log compares in the same step in which it writes.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use thiserror::Error;

/// A lease that this process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for, for example `execution/<id>`.
    pub name: String,
    /// Grows with every change of owner of this name, for ever: never handed out twice.
    pub token: u64,
    /// When its holder must have stopped, unless it was renewed: on the monotonic clock, counted
    /// from before the request was sent, and a margin earlier than the lease itself ends.
    pub deadline: Instant,
}

/// Who holds a lease that this process wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Its node, for a person.
    pub node: String,
    /// How long its lease still lasts unless it is renewed, by the authority's clock.
    pub expires_in: Duration,
}

/// The answer to a request for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is ours.
    Granted(Lease),
    /// Somebody else has it.
    Held(LeaseHolder),
}

/// The authority cannot be asked. A lease that is held lasts until its deadline all the same.
#[derive(Debug, Clone, Error)]
#[error("leases are unavailable: {reason}")]
pub struct CoordinatorError {
    /// What happened.
    pub reason: String,
}

/// How much earlier than the lease itself a holder's [`Lease::deadline`] comes: what clocks may
/// differ by, and what ending the holder's work takes.
pub fn lease_margin(ttl: Duration) -> Duration {
    Duration::from_secs(1).min(ttl / 6)
}

/// Ends the processes of attempts when nobody renews the lease that they run under: it has a clock
/// of its own and goes on when the process that set it is stopped.
#[async_trait]
pub trait AttemptDeadline: Send + Sync {
    /// Has every process of every attempt killed at `deadline`, unless another one is set before;
    /// `None` takes it back.
    async fn set(&self, deadline: Option<Instant>);
}

/// The one authority over leases.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// Takes a lease that is free or has run out, or renews one that is ours (the token stays).
    ///
    /// # Errors
    /// [`CoordinatorError`].
    async fn acquire(&self, name: &str, ttl: Duration) -> Result<LeaseAnswer, CoordinatorError>;

    /// Gives a lease back, if it is still ours.
    ///
    /// # Errors
    /// [`CoordinatorError`]; the lease then runs out by itself.
    async fn release(&self, lease: &Lease) -> Result<(), CoordinatorError>;

    /// Who holds a lease now, this process included; `None` if nobody does.
    ///
    /// # Errors
    /// [`CoordinatorError`].
    async fn holder(&self, name: &str) -> Result<Option<LeaseHolder>, CoordinatorError>;
}
