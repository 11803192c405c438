//! The API key aggregate: made once, perhaps revoked, never changed.

use std::collections::BTreeSet;

use flexcore_eventsourcing::{Aggregate, Hash, IllegalEvent, Timestamp};
use thiserror::Error;

use super::Permission;
use crate::{ApiKeyId, RoleName};

/// An API key as its events say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it was made with.
    pub grant: ApiKeyGrant,
    /// Whether somebody took it back.
    pub is_revoked: bool,
}

/// What a key is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyGrant {
    /// Its id, which is part of the key that its owner has.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its secret part, which is not kept.
    pub digest: Hash,
    /// The roles of whoever has it.
    pub roles: BTreeSet<RoleName>,
    /// What whoever has it may do besides.
    pub permissions: BTreeSet<Permission>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing; `None`: only once it is revoked.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is worth something at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        !self.is_revoked && !self.is_expired(now)
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.grant.expires_at.is_some_and(|expires| expires <= now)
    }
}

/// A request about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyCommand {
    /// Make it.
    Create(ApiKeyGrant),
    /// Take it back, for good.
    Revoke {
        /// Why.
        reason: Option<String>,
    },
}

/// A fact about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKeyEvent {
    /// It was made.
    Created(ApiKeyGrant),
    /// It was taken back.
    Revoked {
        /// Why.
        reason: Option<String>,
    },
}

/// Why a command was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ApiKeyRejection {
    /// The id is taken.
    #[error("there is an API key of this id already")]
    AlreadyThere,
    /// There is no such key.
    #[error("there is no API key of this id")]
    NotThere,
    /// It would be of no use.
    #[error("a key without roles and permissions could do nothing")]
    NothingGranted,
    /// It would never be of use.
    #[error("the key would have expired when it is made")]
    ExpiredBefore,
}

impl Aggregate for ApiKey {
    type Command = ApiKeyCommand;
    type Event = ApiKeyEvent;
    type Rejection = ApiKeyRejection;
    const CATEGORY: &'static str = "api-key";

    fn decide(
        state: Option<&Self>,
        command: &ApiKeyCommand,
        now: Timestamp,
    ) -> Result<Vec<ApiKeyEvent>, ApiKeyRejection> {
        match (state, command) {
            (Some(_), ApiKeyCommand::Create(_)) => Err(ApiKeyRejection::AlreadyThere),
            (None, ApiKeyCommand::Create(grant)) => {
                if grant.roles.is_empty() && grant.permissions.is_empty() {
                    return Err(ApiKeyRejection::NothingGranted);
                }
                if grant.expires_at.is_some_and(|expires| expires <= now) {
                    return Err(ApiKeyRejection::ExpiredBefore);
                }
                Ok(vec![ApiKeyEvent::Created(grant.clone())])
            }
            (None, ApiKeyCommand::Revoke { .. }) => Err(ApiKeyRejection::NotThere),
            (Some(key), ApiKeyCommand::Revoke { .. }) if key.is_revoked => Ok(vec![]),
            (Some(_), ApiKeyCommand::Revoke { reason }) => {
                Ok(vec![ApiKeyEvent::Revoked { reason: reason.clone() }])
            }
        }
    }

    fn evolve(state: Option<Self>, event: &ApiKeyEvent) -> Result<Self, IllegalEvent> {
        match (state, event) {
            (None, ApiKeyEvent::Created(grant)) => {
                Ok(Self { grant: grant.clone(), is_revoked: false })
            }
            (Some(key), ApiKeyEvent::Revoked { .. }) if !key.is_revoked => {
                Ok(Self { is_revoked: true, ..key })
            }
            (state, event) => Err(IllegalEvent::new(&state, event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn grant() -> ApiKeyGrant {
        ApiKeyGrant {
            id: ApiKeyId(Uuid::from_u128(1)),
            name: "nightly".into(),
            digest: Hash([7; 32]),
            roles: [].into(),
            permissions: ["pipeline.execute".parse().unwrap()].into(),
            created_at: NOW,
            expires_at: None,
        }
    }

    fn created() -> ApiKeyEvent {
        ApiKeyEvent::Created(grant())
    }

    fn revoke() -> ApiKeyCommand {
        ApiKeyCommand::Revoke { reason: Some("it leaked".into()) }
    }

    #[test]
    fn a_key_is_made_once_and_revoked_for_good() {
        let revoked = ApiKeyEvent::Revoked { reason: Some("it leaked".into()) };
        let state = given::<ApiKey>(&[])
            .when(&ApiKeyCommand::Create(grant()), NOW)
            .then(&[created()])
            .when(&revoke(), NOW)
            .then(std::slice::from_ref(&revoked))
            .when(&revoke(), NOW)
            .then(&[])
            .state();
        assert!(!state.unwrap().is_valid(NOW));
        let again =
            given::<ApiKey>(&[created(), revoked]).when(&ApiKeyCommand::Create(grant()), NOW);
        assert_eq!(again.then_rejected(), ApiKeyRejection::AlreadyThere);
        let unknown = given::<ApiKey>(&[]).when(&revoke(), NOW).then_rejected();
        assert_eq!(unknown, ApiKeyRejection::NotThere);
    }

    #[test]
    fn a_key_that_could_do_nothing_is_not_made() {
        let useless = ApiKeyGrant { permissions: [].into(), ..grant() };
        let late = ApiKeyGrant { expires_at: Some(NOW), ..grant() };
        for (grant, why) in
            [(useless, ApiKeyRejection::NothingGranted), (late, ApiKeyRejection::ExpiredBefore)]
        {
            let decided = given::<ApiKey>(&[]).when(&ApiKeyCommand::Create(grant), NOW);
            assert_eq!(decided.then_rejected(), why);
        }
    }

    #[test]
    fn a_key_is_worth_nothing_from_the_moment_of_its_expiry() {
        let expires_at = Some(Timestamp::from_micros(2_000));
        let key = ApiKey { grant: ApiKeyGrant { expires_at, ..grant() }, is_revoked: false };
        assert!(key.is_valid(Timestamp::from_micros(1_999)));
        assert!(!key.is_valid(Timestamp::from_micros(2_000)));
    }

    #[test]
    fn what_cannot_have_happened_is_no_history() {
        assert!(ApiKey::evolve(None, &ApiKeyEvent::Revoked { reason: None }).is_err());
        let key = ApiKey::evolve(None, &created()).unwrap();
        assert!(ApiKey::evolve(Some(key), &created()).is_err());
    }
}
