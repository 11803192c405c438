//! The role aggregate: a name of one tenant, and what who has it may do.

use std::collections::BTreeSet;

use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp};
use thiserror::Error;

use super::Permission;
use crate::RoleName;

/// The roles that come with FlexCore. They are the same in every tenant and never written down.
pub const BUILT_IN: [&str; 3] = ["admin", "operator", "viewer"];

/// A role as its events say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// What it is; `None`: it was removed, and gives nothing.
    pub definition: Option<RoleDefinition>,
}

/// What a role is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleDefinition {
    /// What it is for.
    pub description: Option<String>,
    /// What who has it may do.
    pub permissions: BTreeSet<Permission>,
}

/// A request about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleCommand {
    /// Let it be this from now on.
    Define {
        /// Its name.
        name: RoleName,
        /// What it is.
        definition: RoleDefinition,
    },
    /// Take it away from everybody who has it.
    Remove,
}

/// A fact about a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleEvent {
    /// It is this from now on.
    Defined(RoleDefinition),
    /// It is gone.
    Removed,
}

/// Why a command was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoleRejection {
    /// The name is that of a role that comes with FlexCore.
    #[error("`{0}` is a role that comes with FlexCore and is always the same")]
    BuiltIn(RoleName),
    /// There is no such role.
    #[error("there is no role of this name")]
    NotThere,
    /// It would be of no use.
    #[error("a role without permissions gives nothing")]
    NoPermissions,
}

impl Aggregate for Role {
    type Command = RoleCommand;
    type Event = RoleEvent;
    type Rejection = RoleRejection;
    const CATEGORY: &'static str = "role";

    fn decide(
        state: Option<&Self>,
        command: &RoleCommand,
        _now: Timestamp,
    ) -> Result<Vec<RoleEvent>, RoleRejection> {
        let known = state.and_then(|role| role.definition.as_ref());
        match command {
            RoleCommand::Define { name, .. } if BUILT_IN.contains(&name.as_str()) => {
                Err(RoleRejection::BuiltIn(name.clone()))
            }
            RoleCommand::Define { definition, .. } if definition.permissions.is_empty() => {
                Err(RoleRejection::NoPermissions)
            }
            RoleCommand::Define { definition, .. } if known == Some(definition) => Ok(vec![]),
            RoleCommand::Define { definition, .. } => {
                Ok(vec![RoleEvent::Defined(definition.clone())])
            }
            RoleCommand::Remove if known.is_none() => Err(RoleRejection::NotThere),
            RoleCommand::Remove => Ok(vec![RoleEvent::Removed]),
        }
    }

    fn evolve(state: Option<Self>, event: &RoleEvent) -> Result<Self, IllegalEvent> {
        match (state, event) {
            (_, RoleEvent::Defined(definition)) => {
                Ok(Self { definition: Some(definition.clone()) })
            }
            (Some(Self { definition: Some(_) }), RoleEvent::Removed) => {
                Ok(Self { definition: None })
            }
            (state, event) => Err(IllegalEvent::new(&state, event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;

    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn definition(permission: &str) -> RoleDefinition {
        let permissions = [permission.parse().unwrap()].into();
        RoleDefinition { description: None, permissions }
    }

    fn define(name: &str, permission: &str) -> RoleCommand {
        let name = name.parse().unwrap();
        RoleCommand::Define { name, definition: definition(permission) }
    }

    #[test]
    fn a_role_is_defined_changed_removed_and_defined_again() {
        let defined = |permission: &str| RoleEvent::Defined(definition(permission));
        given::<Role>(&[])
            .when(&define("loader", "pipeline.execute"), NOW)
            .then(&[defined("pipeline.execute")])
            .when(&define("loader", "pipeline.execute"), NOW)
            .then(&[])
            .when(&define("loader", "pipeline.*"), NOW)
            .then(&[defined("pipeline.*")])
            .when(&RoleCommand::Remove, NOW)
            .then(&[RoleEvent::Removed])
            .when(&define("loader", "plugin.read"), NOW)
            .then(&[defined("plugin.read")]);
    }

    #[test]
    fn built_in_roles_and_empty_ones_are_not_defined() {
        for name in BUILT_IN {
            let decided = given::<Role>(&[]).when(&define(name, "pipeline.read"), NOW);
            assert_eq!(decided.then_rejected(), RoleRejection::BuiltIn(name.parse().unwrap()));
        }
        let definition = RoleDefinition { description: None, permissions: [].into() };
        let empty = RoleCommand::Define { name: "loader".parse().unwrap(), definition };
        let rejection = given::<Role>(&[]).when(&empty, NOW).then_rejected();
        assert_eq!(rejection, RoleRejection::NoPermissions);
    }

    #[test]
    fn what_is_not_there_is_not_removed() {
        let rejection = given::<Role>(&[]).when(&RoleCommand::Remove, NOW).then_rejected();
        assert_eq!(rejection, RoleRejection::NotThere);
        assert!(Role::evolve(None, &RoleEvent::Removed).is_err());
        assert!(Role::evolve(Some(Role { definition: None }), &RoleEvent::Removed).is_err());
    }
}
