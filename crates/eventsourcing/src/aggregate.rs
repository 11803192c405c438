//! Aggregates: decisions and folds, both pure.

use std::fmt::Debug;

use thiserror::Error;

use crate::Timestamp;

/// A consistency boundary whose state is the fold of its events.
pub trait Aggregate: Sized {
    /// A request to change it; ids and everything else that could differ between two runs are
    /// inside.
    type Command;
    /// One fact about it.
    type Event;
    /// Why a command was not accepted.
    type Rejection;
    /// The category of its streams: the second part of their [names](crate::StreamName).
    const CATEGORY: &'static str;

    /// The events that `command` leads to in `state` (`None`: nothing happened yet).
    ///
    /// No events means that there is nothing to change.
    ///
    /// # Errors
    /// The rejection, if the rules do not allow the command in this state.
    fn decide(
        state: Option<&Self>,
        command: &Self::Command,
        now: Timestamp,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalEvent`] if no legal history has this event here: the history is corrupt.
    fn evolve(state: Option<Self>, event: &Self::Event) -> Result<Self, IllegalEvent>;
}

/// An event that cannot follow the state it was applied to: a corrupt or foreign history.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event {event} cannot follow state {state}")]
pub struct IllegalEvent {
    /// The state, as its `Debug` form, cut to 200 characters.
    pub state: String,
    /// The event, likewise.
    pub event: String,
}

impl IllegalEvent {
    /// From both sides.
    pub fn new(state: &impl Debug, event: &impl Debug) -> Self {
        let short = |side: String| side.chars().take(200).collect();
        Self { state: short(format!("{state:?}")), event: short(format!("{event:?}")) }
    }
}

/// An illegal event and where in its stream it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("version {version} of the stream is illegal")]
pub struct FoldError {
    /// The event's version.
    pub version: u64,
    /// What does not fit.
    #[source]
    pub source: IllegalEvent,
}

/// The state after `events`, the first of which has version `first_version`, beginning from
/// `state` (a snapshot, or `None` for the beginning of the stream).
///
/// # Errors
/// [`FoldError`] at the first event that does not fit.
pub fn fold<'a, A: Aggregate>(
    state: Option<A>,
    first_version: u64,
    events: impl IntoIterator<Item = &'a A::Event>,
) -> Result<Option<A>, FoldError>
where
    A::Event: 'a,
{
    let mut state = state;
    for (version, event) in (first_version..).zip(events) {
        let next = A::evolve(state, event).map_err(|source| FoldError { version, source })?;
        state = Some(next);
    }
    Ok(state)
}
