//! The audit trail: what was asked and what came of it. Who asked is in the context of every event.

use std::convert::Infallible;

use flexcore_eventsourcing::{Aggregate, IllegalEvent, Timestamp};

/// A part of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditTrail {
    /// How many records it has.
    pub records: u64,
}

/// A record of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// A command was carried out. What it changed stands in the same append.
    CommandAccepted {
        /// Its name.
        request: String,
        /// The first event stream that it wrote; `None`: there was nothing to write.
        subject: Option<String>,
    },
    /// A command was not carried out.
    CommandRefused {
        /// Its name.
        request: String,
        /// The stable code of the error that it was answered with.
        code: String,
    },
    /// Somebody tried what they may not.
    AttemptDenied {
        /// What they tried: the name of a request, or `authenticate`.
        request: String,
        /// The stable code that they were answered with.
        code: String,
        /// How often since the last such record; a flood does not fill the log.
        times: u64,
    },
}

impl Aggregate for AuditTrail {
    type Command = AuditEvent;
    type Event = AuditEvent;
    type Rejection = Infallible;
    const CATEGORY: &'static str = "audit";

    /// Whatever happened is written down.
    fn decide(
        _state: Option<&Self>,
        record: &AuditEvent,
        _now: Timestamp,
    ) -> Result<Vec<AuditEvent>, Infallible> {
        Ok(vec![record.clone()])
    }

    fn evolve(state: Option<Self>, _event: &AuditEvent) -> Result<Self, IllegalEvent> {
        let records = state.unwrap_or_default().records;
        Ok(Self { records: records.saturating_add(1) })
    }
}

#[cfg(test)]
mod tests {
    use flexcore_eventsourcing::testing::given;

    use super::*;

    #[test]
    fn every_record_is_kept() {
        let accepted =
            AuditEvent::CommandAccepted { request: "CancelExecution".into(), subject: None };
        let trail = given::<AuditTrail>(std::slice::from_ref(&accepted))
            .when(&accepted, Timestamp::EPOCH)
            .then(std::slice::from_ref(&accepted))
            .state();
        assert_eq!(trail, Some(AuditTrail { records: 2 }));
    }
}
