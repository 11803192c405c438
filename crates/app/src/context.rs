//! Who asks.

use std::{collections::BTreeSet, sync::Arc};

use flexcore_api::{OWN_SUBJECT, is_of_the_system};
use flexcore_domain::Permission;
use flexcore_eventsourcing::EventContext;
use flexcore_ports::TraceContext;
use uuid::Uuid;

use crate::access::AuditTicket;

/// The tenant of those who set up none: the operator's. Only its callers may do what concerns the
/// system as a whole.
pub const OPERATORS_TENANT: &str = "default";

/// Who sends a request, and what it is part of. Every event that comes of it carries this, but for
/// the permissions.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The tenant that it concerns.
    pub tenant: Arc<str>,
    /// Who asks.
    pub actor: Arc<str>,
    /// What everything that follows from it is found by.
    pub correlation: Option<Uuid>,
    /// What the one who asks may do.
    pub permissions: Permissions,
    /// The span under which it happens, if it is part of a trace.
    pub trace: Option<TraceContext>,
    /// Set by the bus while a command is on its way: what has to be noted of it.
    pub audit: Option<Arc<AuditTicket>>,
}

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    /// Everything: the operator of this machine.
    All,
    /// What is named: `pipeline.execute`, or `pipeline.*` for everything of one subject.
    Only(Arc<BTreeSet<String>>),
}

impl Permissions {
    /// What these permissions come to together.
    pub fn of(permissions: impl IntoIterator<Item = Permission>) -> Self {
        let mut names = BTreeSet::new();
        for permission in permissions {
            if permission == Permission::everything() {
                return Self::All;
            }
            names.insert(permission.to_string());
        }
        Self::Only(Arc::new(names))
    }

    /// Whether who has these may do all that `permission` says, which may be `pipeline.*` or `*`.
    pub fn cover(&self, permission: &Permission) -> bool {
        match (self, permission.as_str().strip_suffix('*')) {
            (Self::All, _) => true,
            (Self::Only(_), None) => self.allow(permission.as_str()),
            (Self::Only(names), Some(_)) => names.contains(permission.as_str()),
        }
    }

    /// Whether a permission such as `pipeline.execute` is among them.
    pub fn allow(&self, permission: &str) -> bool {
        let Self::Only(names) = self else { return true };
        let subject = permission.split_once('.').map_or(permission, |(subject, _)| subject);
        names.contains(permission) || names.contains(&format!("{subject}.*"))
    }
}

impl RequestContext {
    /// The default tenant, asked by `actor`, who may do everything.
    pub fn local(actor: impl Into<Arc<str>>) -> Self {
        Self {
            tenant: OPERATORS_TENANT.into(),
            actor: actor.into(),
            correlation: None,
            permissions: Permissions::All,
            trace: None,
            audit: None,
        }
    }

    /// A caller of a tenant.
    pub fn new(
        tenant: impl Into<Arc<str>>,
        actor: impl Into<Arc<str>>,
        permissions: Permissions,
    ) -> Self {
        Self { tenant: tenant.into(), permissions, ..Self::local(actor) }
    }

    /// Whether the caller may do what a permission such as `pipeline.execute` says. What concerns the
    /// system as a whole is for callers of the operator's tenant alone, whatever they were granted.
    pub fn may(&self, permission: &str) -> bool {
        if permission.split_once('.').is_some_and(|(subject, _)| subject == OWN_SUBJECT) {
            return true;
        }
        let is_theirs = &*self.tenant == OPERATORS_TENANT || !is_of_the_system(permission);
        is_theirs && self.permissions.allow(permission)
    }

    /// The part of it that goes into every event.
    pub(crate) fn of_events(&self) -> EventContext {
        EventContext {
            correlation: self.correlation,
            ..EventContext::json(Arc::clone(&self.tenant), Arc::clone(&self.actor))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_named_or_covered_by_its_subject() {
        let names = ["pipeline.*", "execution.read"].map(str::to_owned);
        let some = Permissions::Only(Arc::new(BTreeSet::from(names)));
        for allowed in ["pipeline.read", "pipeline.execute", "execution.read"] {
            assert!(some.allow(allowed), "{allowed}");
        }
        for refused in ["execution.cancel", "pipelines.read", "plugin.read", ""] {
            assert!(!some.allow(refused), "{refused}");
        }
        assert!(Permissions::All.allow("plugin.register"));
    }

    #[test]
    fn permissions_cover_what_is_no_more_than_they_are() {
        let permission = |text: &str| text.parse::<Permission>().unwrap();
        let some = Permissions::of(["pipeline.*", "plugin.read"].map(permission));
        for covered in ["pipeline.read", "pipeline.*", "plugin.read"] {
            assert!(some.cover(&permission(covered)), "{covered}");
        }
        for beyond in ["plugin.*", "plugin.execute", "*", "execution.read"] {
            assert!(!some.cover(&permission(beyond)), "{beyond}");
        }
        let all = Permissions::of(["plugin.read", "*"].map(permission));
        assert_eq!(all, Permissions::All);
        assert!(all.cover(&permission("*")));
    }

    #[test]
    fn only_the_operators_tenant_may_do_what_concerns_all() {
        let operator = RequestContext::local("ann");
        let tenant = RequestContext::new("acme", "ben", Permissions::All);
        assert!(operator.may("system.prune") && operator.may("pipeline.read"));
        assert!(!tenant.may("system.prune") && tenant.may("pipeline.read"));
        let nobody = RequestContext::new("acme", "eve", Permissions::of([]));
        assert!(nobody.may("self.read") && !nobody.may("pipeline.read"));
    }
}
