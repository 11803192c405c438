//! Which API keys and roles a tenant has ever had: one event stream per tenant that holds their
//! names, so that they can be listed without looking through the log.

use std::{collections::BTreeSet, convert::Infallible};

use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp};

use crate::{ApiKeyId, RoleName};

/// The names, in their order; those of keys begin with when they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessIndex {
    /// Every key that was ever made.
    pub keys: BTreeSet<ApiKeyId>,
    /// Every role that was ever defined.
    pub roles: BTreeSet<RoleName>,
}

/// A request to list something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessIndexCommand {
    /// A key.
    ListKey(ApiKeyId),
    /// A role.
    ListRole(RoleName),
}

/// Something was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessIndexEvent {
    /// A key.
    KeyListed(ApiKeyId),
    /// A role.
    RoleListed(RoleName),
}

impl Aggregate for AccessIndex {
    type Command = AccessIndexCommand;
    type Event = AccessIndexEvent;
    type Rejection = Infallible;
    const CATEGORY: &'static str = "access";

    fn decide(
        state: Option<&Self>,
        command: &AccessIndexCommand,
        _now: Timestamp,
    ) -> Result<Vec<AccessIndexEvent>, Infallible> {
        let is_listed = state.is_some_and(|index| match command {
            AccessIndexCommand::ListKey(id) => index.keys.contains(id),
            AccessIndexCommand::ListRole(name) => index.roles.contains(name),
        });
        if is_listed {
            return Ok(vec![]);
        }
        Ok(vec![match command {
            AccessIndexCommand::ListKey(id) => AccessIndexEvent::KeyListed(*id),
            AccessIndexCommand::ListRole(name) => AccessIndexEvent::RoleListed(name.clone()),
        }])
    }

    fn evolve(state: Option<Self>, event: &AccessIndexEvent) -> Result<Self, IllegalEvent> {
        let mut index = state.unwrap_or_default();
        let is_new = match event {
            AccessIndexEvent::KeyListed(id) => index.keys.insert(*id),
            AccessIndexEvent::RoleListed(name) => index.roles.insert(name.clone()),
        };
        if is_new { Ok(index) } else { Err(IllegalEvent::new(&index, event)) }
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn everything_is_listed_once() {
        let key = ApiKeyId(Uuid::from_u128(1));
        let role: RoleName = "loader".parse().unwrap();
        let (list_key, list_role) =
            (AccessIndexCommand::ListKey(key), AccessIndexCommand::ListRole(role.clone()));
        let listed = AccessIndexEvent::KeyListed(key);
        let now = Timestamp::EPOCH;
        let index = given::<AccessIndex>(&[])
            .when(&list_key, now)
            .then(std::slice::from_ref(&listed))
            .when(&list_key, now)
            .then(&[])
            .when(&list_role, now)
            .then(&[AccessIndexEvent::RoleListed(role.clone())])
            .when(&list_role, now)
            .then(&[])
            .state()
            .unwrap();
        assert_eq!(index, AccessIndex { keys: [key].into(), roles: [role].into() });
        assert!(AccessIndex::evolve(Some(index), &listed).is_err());
    }
}
