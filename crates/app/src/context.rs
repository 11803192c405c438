//! Who asks.

use std::{collections::BTreeSet, sync::Arc};

use flexcore_eventsourcing::EventContext;
use flexcore_ports::TraceContext;
use uuid::Uuid;

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
            tenant: "default".into(),
            actor: actor.into(),
            correlation: None,
            permissions: Permissions::All,
            trace: None,
        }
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
}
