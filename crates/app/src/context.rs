//! Who asks.

use std::sync::Arc;

use flexcore_eventsourcing::EventContext;
use uuid::Uuid;

/// Who sends a request, and what it is part of. Every event that comes of it carries this.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The tenant that it concerns.
    pub tenant: Arc<str>,
    /// Who asks.
    pub actor: Arc<str>,
    /// What everything that follows from it is found by.
    pub correlation: Option<Uuid>,
}

impl RequestContext {
    /// The default tenant, asked by `actor`.
    pub fn local(actor: impl Into<Arc<str>>) -> Self {
        Self { tenant: "default".into(), actor: actor.into(), correlation: None }
    }

    /// The part of it that goes into every event.
    pub(crate) fn of_events(&self) -> EventContext {
        EventContext {
            correlation: self.correlation,
            ..EventContext::json(Arc::clone(&self.tenant), Arc::clone(&self.actor))
        }
    }
}
