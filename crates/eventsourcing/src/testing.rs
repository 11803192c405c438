//! Given / when / then for aggregates: no runtime, no store, no mock.

use std::fmt::Debug;

use crate::{Aggregate, Timestamp, fold};

/// Begins a scenario with the history of the aggregate.
#[track_caller]
pub fn given<A: Aggregate>(events: &[A::Event]) -> Given<A> {
    let state = fold::<A>(None, 1, events).expect("the history of a scenario is legal");
    Given { state }
}

/// An aggregate with its history.
#[derive(Debug)]
pub struct Given<A> {
    state: Option<A>,
}

impl<A: Aggregate> Given<A> {
    /// What the aggregate decides about `command` at `now`.
    pub fn when(self, command: &A::Command, now: Timestamp) -> When<A> {
        let decision = A::decide(self.state.as_ref(), command, now);
        When { state: self.state, decision }
    }

    /// The state that the history led to.
    pub fn state(self) -> Option<A> {
        self.state
    }
}

/// An aggregate and its decision.
#[derive(Debug)]
pub struct When<A: Aggregate> {
    state: Option<A>,
    decision: Result<Vec<A::Event>, A::Rejection>,
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Rejection: Debug,
{
    /// The decision must be exactly these events, and they must be legal here.
    #[track_caller]
    pub fn then(self, expected: &[A::Event]) -> Given<A> {
        let events = self.decision.expect("the command is accepted");
        assert_eq!(events, expected);
        let state = fold(self.state, 1, &events).expect("decided events are legal");
        Given { state }
    }

    /// The command must be rejected; gives back why.
    #[track_caller]
    pub fn then_rejected(self) -> A::Rejection {
        self.decision.expect_err("the command is rejected")
    }
}
