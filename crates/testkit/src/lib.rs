//! Test support: builders, a clock that tests set, and the contract suites of ports.
//!
//! Each port with more than one implementation in sight has a suite of cases here, and every
//! implementation runs the same suite from its own integration tests: see
//! [`event_store_contract!`]. [`ModelLog`] is the event store's reference: small enough to be
//! believed, and compared with real stores by the properties of [`model_contract`].
//!
//! # What this crate must not know
//!
//! Any one implementation: it would pull that implementation into the tests of all others.
//!
//! # How to add the usual next thing
//!
//! A case: a `pub async fn` in the suite's file that takes the fixture, and its name in the list
//! of the macro beside it.

mod builders;
mod clock;
mod collector;
pub mod coordinator_contract;
pub mod event_store_contract;
pub mod model_contract;
mod model_log;
pub mod postgres;
pub mod snapshots_contract;
pub mod vault;
pub mod view_store_contract;

pub use builders::{event, event_id, payload, stream};
pub use clock::{ManualClock, SetTime};
pub use collector::{CollectedSpan, Collector};
pub use model_log::{ModelLog, ModelOutcome, append_strategy};
