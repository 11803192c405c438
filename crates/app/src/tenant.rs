//! Whose things a caller may see: those of its own tenant, and nothing of another one's.
//!
//! What belongs to another tenant is answered as if it were not there. What concerns all of them is
//! for the operator's tenant ([`RequestContext::may`]).

use flexcore_eventsourcing::StreamName;

use crate::{RequestContext, UseCaseError};

/// What it takes to see the events of all tenants.
const ALL_EVENTS: &str = "system.events";

impl RequestContext {
    /// Refuses what concerns all tenants, unless the caller operates the installation and has the
    /// permission.
    ///
    /// # Errors
    /// [`UseCaseError::Forbidden`].
    pub(crate) fn must_operate(
        &self,
        request: &'static str,
        permission: &'static str,
    ) -> Result<(), UseCaseError> {
        if self.may(permission) {
            return Ok(());
        }
        Err(UseCaseError::Forbidden { actor: self.actor.to_string(), request, permission })
    }

    /// Refuses to show the events of all tenants to whoever may not see them.
    ///
    /// # Errors
    /// [`UseCaseError::Forbidden`].
    pub(crate) fn must_see_all_events(&self, request: &'static str) -> Result<(), UseCaseError> {
        self.must_operate(request, ALL_EVENTS)
    }

    /// Whether a stream is this tenant's, or the caller may see everybody's.
    pub(crate) fn may_see(&self, stream: &StreamName) -> bool {
        stream.tenant() == *self.tenant || self.must_see_all_events("").is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::Permissions;

    fn context(tenant: &str, permissions: &[&str]) -> RequestContext {
        let names: BTreeSet<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
        let permissions = Permissions::Only(Arc::new(names));
        RequestContext { tenant: tenant.into(), permissions, ..RequestContext::local("somebody") }
    }

    #[test]
    fn only_the_operator_sees_other_tenants() {
        let stream: StreamName = "acme/pipeline/pl_1".parse().unwrap();
        assert!(context("acme", &[]).may_see(&stream));
        assert!(!context("default", &["event.read"]).may_see(&stream));
        assert!(context("default", &["system.events"]).may_see(&stream));
        assert!(!context("other", &["system.events"]).may_see(&stream));
        let everything = RequestContext { tenant: "other".into(), ..RequestContext::local("x") };
        assert!(!everything.may_see(&stream), "everything of a tenant is not everything");
        assert!(RequestContext::local("x").may_see(&stream));
    }
}
