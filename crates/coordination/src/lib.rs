//! Leases without a server.
//!
//! The embedded store has one writer: whoever holds the store's lock. That lock is every lease at
//! once, so [`LocalCoordinator`] grants whatever its process asks for, and a lease never runs out.
//! Where several processes share a store, the store's own adapter has the leases.
//!
//! # What this crate must not know
//!
//! What leases are for: a name is a text.

mod local;

pub use local::LocalCoordinator;
