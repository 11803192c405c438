//! What roles come to.

use std::collections::BTreeSet;

use flexcore_api::{is_of_the_system, permissions};
use flexcore_domain::{AccessIndex, Permission, Role, RoleName, access::index::AccessIndexCommand};
use flexcore_event_codec::StoredState;
use flexcore_eventsourcing::{Aggregate, Append, StreamName};
use flexcore_ports::AppendError;

use crate::{Permissions, RequestContext, Services, UseCaseError, repository::Loaded, streams};

/// What an operator does besides reading.
const OPERATION: [&str; 5] =
    ["pipeline.execute", "execution.cancel", "execution.retry", "plugin.execute", "bookmark.*"];
/// What is no business of everybody who reads: who has keys, and who did what.
const CONFIDENTIAL: [&str; 2] = ["audit", "key"];

/// What a role that comes with FlexCore allows; `None`: there is none of this name.
pub(super) fn built_in(name: &str) -> Option<BTreeSet<Permission>> {
    let texts: Vec<&str> = match name {
        "admin" => return Some([Permission::everything()].into()),
        "operator" => reading().chain(OPERATION).collect(),
        "viewer" => reading().collect(),
        _ => return None,
    };
    Some(texts.into_iter().filter_map(|text| text.parse().ok()).collect())
}

/// Everything that reads, so that a new query is a viewer's without another line. What is of the
/// system stays with those to whom it is granted by name.
fn reading() -> impl Iterator<Item = &'static str> {
    permissions().into_iter().filter(|permission| {
        let subject = permission.strip_suffix(".read");
        subject.is_some_and(|subject| !CONFIDENTIAL.contains(&subject) && subject != "self")
            && !is_of_the_system(permission)
    })
}

impl Services {
    /// What the roles of a caller allow together with `own`. Roles that are not there give nothing.
    pub(super) async fn permissions_of(
        &self,
        tenant: &str,
        roles: &BTreeSet<RoleName>,
        own: &BTreeSet<Permission>,
    ) -> Result<Permissions, UseCaseError> {
        let mut all = own.clone();
        for name in roles {
            all.extend(self.role_permissions(tenant, name).await?.unwrap_or_default());
        }
        Ok(Permissions::of(all))
    }

    /// What one role allows; `None`: there is no such role.
    pub(super) async fn role_permissions(
        &self,
        tenant: &str,
        name: &RoleName,
    ) -> Result<Option<BTreeSet<Permission>>, UseCaseError> {
        if let Some(permissions) = built_in(name.as_str()) {
            return Ok(Some(permissions));
        }
        let role = self.load::<Role>(&streams::role(tenant, name)).await?.state;
        Ok(role.and_then(|role| role.definition).map(|definition| definition.permissions))
    }

    /// Which keys and roles a tenant has ever had.
    pub(super) async fn access_index(&self, tenant: &str) -> Result<AccessIndex, UseCaseError> {
        let index = self.load::<AccessIndex>(&streams::access(tenant)).await?;
        Ok(index.state.unwrap_or_default())
    }

    /// Changes a key or role and lists it, both or none. Gives back the log's position, 0 if there
    /// was nothing to change.
    pub(super) async fn change_listed<A>(
        &self,
        context: &RequestContext,
        stream: &StreamName,
        command: &A::Command,
        listing: &AccessIndexCommand,
    ) -> Result<u64, UseCaseError>
    where
        A: StoredState + Send + Sync,
        A::Command: Sync,
        A::Event: Send + Sync,
        UseCaseError: From<A::Rejection>,
    {
        const ATTEMPTS: usize = 16;
        let index_stream = streams::access(&context.tenant);
        for _ in 0..ATTEMPTS {
            let now = self.ports.clock.now();
            let Loaded { state, version } = self.load::<A>(stream).await?;
            let events = A::decide(state.as_ref(), command, now)?;
            if events.is_empty() {
                return Ok(0);
            }
            let index = self.load::<AccessIndex>(&index_stream).await?;
            let Ok(listed) = AccessIndex::decide(index.state.as_ref(), listing, now);
            let mut append = Append::to(stream.clone(), version, self.envelopes(context, &events));
            if !listed.is_empty() {
                let events = self.envelopes(context, &listed);
                append = append.and(Append::to(index_stream.clone(), index.version, events));
            }
            match self.append(context, append).await {
                Ok(appended) => return Ok(appended.last_position),
                Err(AppendError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(UseCaseError::Busy { stream: stream.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(role: &str, permission: &str) -> bool {
        built_in(role).unwrap().iter().any(|one| one.covers(permission))
    }

    #[test]
    fn built_in_roles_allow_what_their_names_say() {
        for reads in ["pipeline.read", "execution.read", "event.read", "role.read"] {
            assert!(allows("viewer", reads) && allows("operator", reads), "{reads}");
        }
        for runs in OPERATION {
            assert!(allows("operator", runs) && !allows("viewer", runs), "{runs}");
        }
        for manages in ["pipeline.create", "plugin.register", "key.create", "role.define"] {
            assert!(!allows("operator", manages) && allows("admin", manages), "{manages}");
        }
        for hidden in ["audit.read", "key.read", "system.metrics", "system.prune"] {
            assert!(!allows("viewer", hidden) && !allows("operator", hidden), "{hidden}");
        }
        assert!(built_in("loader").is_none());
    }

    #[test]
    fn what_operators_do_is_asked_for_by_requests() {
        let all = permissions();
        for text in OPERATION {
            let permission: Permission = text.parse().unwrap();
            assert!(all.iter().any(|name| permission.covers(name)), "{text}");
        }
    }
}
