//! The stored form of aggregates' states, for snapshots.
//!
//! A snapshot can always be made again from the events, so there are no upcasters: a state of any
//! other version than the newest is left aside.

use flexcore_eventsourcing::Aggregate;
use thiserror::Error;

use crate::{StoredEvent, form::Form, payload::reason_of};

/// An aggregate whose state can be stored.
pub trait StoredState: Aggregate<Event: StoredEvent> {
    /// The version of the form. Raised with every change of the form, and whenever `evolve` comes
    /// to another state from the same events.
    const STATE_VERSION: u16;

    /// The state as compact JSON, fields in a fixed order.
    fn encode_state(&self) -> Vec<u8>;

    /// The state that was stored.
    ///
    /// # Errors
    /// [`StateError`]; the state is then to be folded from its events.
    fn decode_state(version: u16, payload: &[u8]) -> Result<Self, StateError>;
}

/// Why a stored state is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// Another version of the program stored it.
    #[error("the state is stored in version {stored}, this program reads version {known}")]
    OtherVersion {
        /// The stored version.
        stored: u16,
        /// The version that this program reads.
        known: u16,
    },
    /// It is not what its version says.
    #[error("the state is malformed: {reason}")]
    Malformed {
        /// What does not fit.
        reason: String,
    },
}

/// Gives an aggregate whose state has a [`Form`] its [`StoredState`].
macro_rules! stored_state {
    ($($aggregate:ty, $version:literal);+ $(;)?) => {$(
        impl crate::state::StoredState for $aggregate {
            const STATE_VERSION: u16 = $version;

            fn encode_state(&self) -> Vec<u8> {
                crate::state::encode(self)
            }

            fn decode_state(version: u16, payload: &[u8]) -> Result<Self, crate::StateError> {
                crate::state::decode(version, Self::STATE_VERSION, payload)
            }
        }
    )+};
}
pub(crate) use stored_state;

pub(crate) fn encode<T: Form>(state: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    state
        .write(&mut serde_json::Serializer::new(&mut bytes))
        .expect("keys are texts and writing to memory cannot fail, so every state serialises");
    bytes
}

pub(crate) fn decode<T: Form>(stored: u16, known: u16, payload: &[u8]) -> Result<T, StateError> {
    if stored != known {
        return Err(StateError::OtherVersion { stored, known });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(payload);
    T::read(&mut deserializer)
        .and_then(|state| deserializer.end().map(|()| state))
        .map_err(|error| StateError::Malformed { reason: reason_of(&error) })
}
