//! The event-sourcing toolkit of FlexCore, useful alone.
//!
//! An application keeps its facts as *events* in *streams*, one stream per aggregate. This crate
//! holds what every part of such an application agrees on and nothing that performs anything:
//!
//! * [`Aggregate`]: a pure pair of functions. `decide` turns a command into events or a rejection,
//!   `evolve` folds an event into the state and refuses an illegal history instead of panicking.
//! * [`EventData`] and [`RecordedEvent`]: the envelope before and after it was stored.
//! * [`Append`]: an ordered list of stream writes that a store accepts or refuses as a whole, each
//!   with an [expected version](StreamWrite::expected) and an optional fence ([`Epoch`]).
//! * [`leaf_hash`], [`stream_head`], [`batch_hash`]: the tamper-evident form of the log. Nothing
//!   store-local enters a leaf, so a log keeps its hashes when it moves to another store.
//! * [`Upcasters`]: old stored versions of an event become the newest one, step by step.
//! * [`testing`]: a given/when/then harness for aggregates that needs no runtime and no store.
//!
//! # What this crate must not know
//!
//! I/O, clocks, random numbers, threads, async, JSON or any domain. Time comes in as a
//! [`Timestamp`], ids come in as values, payloads are bytes.
//!
//! # How to use it alone
//!
//! ```
//! use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp, testing::given};
//!
//! #[derive(Debug, Clone, PartialEq)]
//! struct Account { balance: u64 }
//! #[derive(Debug, Clone, PartialEq)]
//! enum Event { Opened, Deposited(u64) }
//! enum Command { Open, Deposit(u64) }
//! #[derive(Debug, PartialEq)]
//! enum Rejection { NotOpen, AlreadyOpen }
//!
//! impl Aggregate for Account {
//!     type Command = Command;
//!     type Event = Event;
//!     type Rejection = Rejection;
//!     const CATEGORY: &'static str = "account";
//!
//!     fn decide(
//!         state: Option<&Self>,
//!         command: &Command,
//!         _now: Timestamp,
//!     ) -> Result<Vec<Event>, Rejection> {
//!         match (state, command) {
//!             (None, Command::Open) => Ok(vec![Event::Opened]),
//!             (Some(_), Command::Open) => Err(Rejection::AlreadyOpen),
//!             (None, Command::Deposit(_)) => Err(Rejection::NotOpen),
//!             (Some(_), Command::Deposit(amount)) => Ok(vec![Event::Deposited(*amount)]),
//!         }
//!     }
//!
//!     fn evolve(state: Option<Self>, event: &Event) -> Result<Self, IllegalEvent> {
//!         match (state, event) {
//!             (None, Event::Opened) => Ok(Account { balance: 0 }),
//!             (Some(account), Event::Deposited(amount)) => {
//!                 Ok(Account { balance: account.balance + amount })
//!             }
//!             (state, event) => Err(IllegalEvent::new(&state, event)),
//!         }
//!     }
//! }
//!
//! given::<Account>(&[Event::Opened])
//!     .when(&Command::Deposit(5), Timestamp::EPOCH)
//!     .then(&[Event::Deposited(5)]);
//! ```

mod aggregate;
mod append;
mod chain;
mod envelope;
mod stream_name;
pub mod testing;
mod timestamp;
mod upcaster;

pub use aggregate::{Aggregate, FoldError, IllegalEvent, fold};
pub use append::{Append, Epoch, StreamWrite};
pub use chain::{
    BatchHeader, BatchWrite, Hash, batch_hash, leaf_hash, leaves_root, put_batch_write, stream_head,
};
pub use envelope::{EventContext, EventData, EventId, RecordedEvent};
pub use stream_name::{StreamName, StreamNameError};
pub use timestamp::Timestamp;
pub use upcaster::{UpcastError, Upcasters};
