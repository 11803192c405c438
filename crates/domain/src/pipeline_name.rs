//! The reservation of a pipeline's name: a stream per name, so that two pipelines can never have
//! the same one, without any lock.

use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp};
use thiserror::Error;

use crate::PipelineId;

/// Who has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameReservation {
    /// The pipeline that has it; `None`: it is free again.
    pub holder: Option<PipelineId>,
}

/// A request about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameCommand {
    /// Take it while it is free.
    Reserve(PipelineId),
    /// Give it back.
    Release(PipelineId),
}

/// A fact about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameEvent {
    /// A pipeline took it.
    Reserved(PipelineId),
    /// Its pipeline gave it back.
    Released(PipelineId),
}

/// Why a command was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameRejection {
    /// Another pipeline has it.
    #[error("the name belongs to pipeline {0}")]
    Taken(PipelineId),
    /// It is not this pipeline's to give back.
    #[error("the name does not belong to pipeline {0}")]
    NotHeld(PipelineId),
}

impl Aggregate for NameReservation {
    type Command = NameCommand;
    type Event = NameEvent;
    type Rejection = NameRejection;
    const CATEGORY: &'static str = "pipeline-name";

    fn decide(
        state: Option<&Self>,
        command: &NameCommand,
        _now: Timestamp,
    ) -> Result<Vec<NameEvent>, NameRejection> {
        let holder = state.and_then(|name| name.holder);
        match (holder, *command) {
            (None, NameCommand::Reserve(id)) => Ok(vec![NameEvent::Reserved(id)]),
            (Some(holder), NameCommand::Reserve(id)) if holder == id => Ok(vec![]),
            (Some(holder), NameCommand::Reserve(_)) => Err(NameRejection::Taken(holder)),
            (Some(holder), NameCommand::Release(id)) if holder == id => {
                Ok(vec![NameEvent::Released(id)])
            }
            (_, NameCommand::Release(id)) => Err(NameRejection::NotHeld(id)),
        }
    }

    fn evolve(state: Option<Self>, event: &NameEvent) -> Result<Self, IllegalEvent> {
        let holder = state.and_then(|name| name.holder);
        match (holder, *event) {
            (None, NameEvent::Reserved(id)) => Ok(Self { holder: Some(id) }),
            (Some(holder), NameEvent::Released(id)) if holder == id => Ok(Self { holder: None }),
            (holder, event) => Err(IllegalEvent::new(&holder, &event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;
    use uuid::Uuid;

    use super::*;

    const ONE: PipelineId = PipelineId(Uuid::from_u128(1));
    const TWO: PipelineId = PipelineId(Uuid::from_u128(2));

    #[test]
    fn a_name_is_taken_once_and_free_after_its_release() {
        given::<NameReservation>(&[])
            .when(&NameCommand::Reserve(ONE), Timestamp::EPOCH)
            .then(&[NameEvent::Reserved(ONE)]);
        let rejection = given::<NameReservation>(&[NameEvent::Reserved(ONE)])
            .when(&NameCommand::Reserve(TWO), Timestamp::EPOCH)
            .then_rejected();
        assert_eq!(rejection, NameRejection::Taken(ONE));
        given::<NameReservation>(&[NameEvent::Reserved(ONE), NameEvent::Released(ONE)])
            .when(&NameCommand::Reserve(TWO), Timestamp::EPOCH)
            .then(&[NameEvent::Reserved(TWO)]);
    }

    #[test]
    fn only_its_holder_gives_a_name_back() {
        let rejection = given::<NameReservation>(&[NameEvent::Reserved(ONE)])
            .when(&NameCommand::Release(TWO), Timestamp::EPOCH)
            .then_rejected();
        assert_eq!(rejection, NameRejection::NotHeld(TWO));
    }
}
