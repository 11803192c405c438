//! The pipeline aggregate: a name, a status, and a definition that gets a new version with every
//! change.

use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp};
use thiserror::Error;

use crate::{
    PipelineDefinition, PipelineId, PipelineName,
    specification::{Violation, violations},
};

/// A pipeline with the newest version of its definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// Whether it may be scheduled, and whether it still exists.
    pub status: PipelineStatus,
    /// The version of `definition`, from 1.
    pub version: u32,
    /// Its newest definition.
    pub definition: PipelineDefinition,
}

/// draft → active ⇄ inactive, and from each of them → archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PipelineStatus {
    /// Never activated; runs by hand only.
    Draft,
    /// Its schedules and triggers are live.
    Active,
    /// Begins no executions, neither by itself nor by hand; those that are there go on.
    Inactive,
    /// Gone: it can only be read, and its name is free again.
    Archived,
}

impl PipelineStatus {
    /// Its word in views and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Archived => "archived",
        }
    }
}

/// A request to change a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum PipelineCommand {
    /// Make it.
    Create {
        /// Its new id.
        id: PipelineId,
        /// Its first definition.
        definition: PipelineDefinition,
    },
    /// Give it another definition; nothing happens if it is the same.
    Update {
        /// The whole new definition.
        definition: PipelineDefinition,
    },
    /// Make its schedules and triggers live.
    Activate,
    /// Let it begin no more executions.
    Deactivate,
    /// End it.
    Archive,
}

/// A fact about a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum PipelineEvent {
    /// It was made, in version 1.
    Created {
        /// Its id.
        id: PipelineId,
        /// Its first definition.
        definition: PipelineDefinition,
    },
    /// It got another definition.
    Updated {
        /// The new version.
        version: u32,
        /// The whole new definition.
        definition: PipelineDefinition,
    },
    /// Its schedules and triggers became live.
    Activated,
    /// It begins no more executions.
    Deactivated,
    /// It ended.
    Archived,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PipelineRejection {
    /// There is no such pipeline.
    #[error("the pipeline does not exist")]
    NotFound,
    /// It exists already.
    #[error("the pipeline exists already")]
    AlreadyExists,
    /// It was archived.
    #[error("the pipeline is archived")]
    Archived,
    /// The definition has another name.
    #[error("a pipeline keeps its name: `{now}` cannot become `{wanted}`")]
    NameChanged {
        /// The name that it has.
        now: PipelineName,
        /// The name of the new definition.
        wanted: PipelineName,
    },
    /// The definition breaks rules; all of them are listed.
    #[error("the definition is not valid: {}", list(.0))]
    Invalid(Vec<Violation>),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Aggregate for Pipeline {
    type Command = PipelineCommand;
    type Event = PipelineEvent;
    type Rejection = PipelineRejection;
    const CATEGORY: &'static str = "pipeline";

    fn decide(
        state: Option<&Self>,
        command: &PipelineCommand,
        _now: Timestamp,
    ) -> Result<Vec<PipelineEvent>, PipelineRejection> {
        match (state, command) {
            (None, PipelineCommand::Create { id, definition }) => {
                valid(definition)?;
                Ok(vec![PipelineEvent::Created { id: *id, definition: definition.clone() }])
            }
            (Some(_), PipelineCommand::Create { .. }) => Err(PipelineRejection::AlreadyExists),
            (None, _) => Err(PipelineRejection::NotFound),
            (Some(pipeline), _) if pipeline.status == PipelineStatus::Archived => {
                Err(PipelineRejection::Archived)
            }
            (Some(pipeline), PipelineCommand::Update { definition }) => pipeline.update(definition),
            (Some(pipeline), PipelineCommand::Activate) => match pipeline.status {
                PipelineStatus::Active => Ok(vec![]),
                _ => Ok(vec![PipelineEvent::Activated]),
            },
            (Some(pipeline), PipelineCommand::Deactivate) => match pipeline.status {
                PipelineStatus::Inactive => Ok(vec![]),
                _ => Ok(vec![PipelineEvent::Deactivated]),
            },
            (Some(_), PipelineCommand::Archive) => Ok(vec![PipelineEvent::Archived]),
        }
    }

    fn evolve(state: Option<Self>, event: &PipelineEvent) -> Result<Self, IllegalEvent> {
        use PipelineStatus::{Active, Archived, Draft, Inactive};
        match (state, event) {
            (None, PipelineEvent::Created { id, definition }) => {
                Ok(Self { id: *id, status: Draft, version: 1, definition: definition.clone() })
            }
            (Some(pipeline), PipelineEvent::Updated { version, definition })
                if pipeline.status != Archived && *version == pipeline.version + 1 =>
            {
                Ok(Self { version: *version, definition: definition.clone(), ..pipeline })
            }
            (Some(pipeline), PipelineEvent::Activated)
                if matches!(pipeline.status, Draft | Inactive) =>
            {
                Ok(Self { status: Active, ..pipeline })
            }
            (Some(pipeline), PipelineEvent::Deactivated)
                if matches!(pipeline.status, Draft | Active) =>
            {
                Ok(Self { status: Inactive, ..pipeline })
            }
            (Some(pipeline), PipelineEvent::Archived) if pipeline.status != Archived => {
                Ok(Self { status: Archived, ..pipeline })
            }
            (state, event) => Err(IllegalEvent::new(&state, event)),
        }
    }
}

impl Pipeline {
    fn update(
        &self,
        definition: &PipelineDefinition,
    ) -> Result<Vec<PipelineEvent>, PipelineRejection> {
        if definition.name != self.definition.name {
            return Err(PipelineRejection::NameChanged {
                now: self.definition.name.clone(),
                wanted: definition.name.clone(),
            });
        }
        if *definition == self.definition {
            return Ok(vec![]);
        }
        valid(definition)?;
        let version = self.version + 1;
        Ok(vec![PipelineEvent::Updated { version, definition: definition.clone() }])
    }
}

fn valid(definition: &PipelineDefinition) -> Result<(), PipelineRejection> {
    let violations = violations(&definition.steps);
    if violations.is_empty() { Ok(()) } else { Err(PipelineRejection::Invalid(violations)) }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;
    use uuid::Uuid;

    use super::*;
    use crate::testing::{definition, step};

    const NOW: Timestamp = Timestamp::EPOCH;

    fn id() -> PipelineId {
        PipelineId(Uuid::from_u128(1))
    }

    fn created() -> PipelineEvent {
        PipelineEvent::Created { id: id(), definition: definition("orders", vec![step("load")]) }
    }

    #[test]
    fn only_a_changed_definition_makes_a_new_version() {
        let same = definition("orders", vec![step("load")]);
        given::<Pipeline>(&[created()])
            .when(&PipelineCommand::Update { definition: same }, NOW)
            .then(&[]);
        let other = definition("orders", vec![step("load"), step("check")]);
        let state = given::<Pipeline>(&[created()])
            .when(&PipelineCommand::Update { definition: other.clone() }, NOW)
            .then(&[PipelineEvent::Updated { version: 2, definition: other }])
            .state();
        assert_eq!(state.map(|pipeline| pipeline.version), Some(2));
    }

    #[test]
    fn a_pipeline_keeps_its_name() {
        let other = definition("sales", vec![step("load")]);
        let rejection = given::<Pipeline>(&[created()])
            .when(&PipelineCommand::Update { definition: other }, NOW)
            .then_rejected();
        assert_eq!(
            rejection.to_string(),
            "a pipeline keeps its name: `orders` cannot become `sales`"
        );
    }

    #[test]
    fn a_definition_that_breaks_a_rule_is_refused() {
        let definition = definition("orders", vec![step("load"), step("load")]);
        let rejection = given::<Pipeline>(&[])
            .when(&PipelineCommand::Create { id: id(), definition }, NOW)
            .then_rejected();
        assert!(matches!(rejection, PipelineRejection::Invalid(_)), "{rejection}");
    }

    #[test]
    fn status_goes_from_draft_to_active_to_inactive_to_archived() {
        given::<Pipeline>(&[created()])
            .when(&PipelineCommand::Activate, NOW)
            .then(&[PipelineEvent::Activated]);
        given::<Pipeline>(&[created(), PipelineEvent::Activated])
            .when(&PipelineCommand::Deactivate, NOW)
            .then(&[PipelineEvent::Deactivated]);
        given::<Pipeline>(&[created(), PipelineEvent::Archived])
            .when(&PipelineCommand::Activate, NOW)
            .then_rejected();
        given::<Pipeline>(&[created(), PipelineEvent::Activated])
            .when(&PipelineCommand::Archive, NOW)
            .then(&[PipelineEvent::Archived]);
    }

    #[test]
    fn what_runs_by_hand_can_be_deactivated_too() {
        given::<Pipeline>(&[created()])
            .when(&PipelineCommand::Deactivate, NOW)
            .then(&[PipelineEvent::Deactivated]);
        let inactive = [created(), PipelineEvent::Deactivated];
        given::<Pipeline>(&inactive).when(&PipelineCommand::Deactivate, NOW).then(&[]);
        given::<Pipeline>(&inactive)
            .when(&PipelineCommand::Activate, NOW)
            .then(&[PipelineEvent::Activated]);
    }

    #[test]
    fn an_archived_pipeline_changes_no_more() {
        let archived = [created(), PipelineEvent::Archived];
        let definition = definition("orders", vec![step("load"), step("check")]);
        for command in [
            PipelineCommand::Archive,
            PipelineCommand::Deactivate,
            PipelineCommand::Update { definition },
        ] {
            let rejection = given::<Pipeline>(&archived).when(&command, NOW).then_rejected();
            assert_eq!(rejection, PipelineRejection::Archived);
        }
    }

    #[test]
    fn an_event_out_of_place_is_illegal() {
        assert!(Pipeline::evolve(None, &PipelineEvent::Activated).is_err());
        let pipeline = Pipeline::evolve(None, &created()).unwrap();
        assert!(Pipeline::evolve(Some(pipeline), &created()).is_err());
    }
}
