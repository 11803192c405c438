//! ListAudit.

use async_trait::async_trait;
use flexcore_api::{AuditPage, AuditRecordView, ListAudit};
use flexcore_domain::access::audit::AuditEvent;
use flexcore_event_codec::StoredEvent as _;
use flexcore_eventsourcing::{RecordedEvent, Timestamp};
use flexcore_pipeline_file::parse_duration;
use flexcore_ports::ReadFilter;

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, parse_time};

/// The most records that one page has.
const MAX_PAGE: usize = 1_000;
/// How many records one read of the log asks for.
const READ: usize = 1_000;
/// How many reads one page may take: who looks for little in much goes on with the next page.
const MAX_READS: usize = 20;
/// How far back it goes if nothing else is said.
const DAY: i64 = 24 * 3_600 * 1_000_000;

#[async_trait]
impl HandleQuery<ListAudit> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListAudit,
    ) -> Result<AuditPage, UseCaseError> {
        if let Some(outcome) = &query.outcome
            && !OUTCOMES.contains(&outcome.as_str())
        {
            let message = format!("`{outcome}` is no outcome; there are {}", OUTCOMES.join(", "));
            return Err(UseCaseError::invalid(message));
        }
        let mut after = self.first(&query).await?;
        let limit = query.limit.clamp(1, MAX_PAGE);
        let filter =
            ReadFilter { types: AuditEvent::TYPES.iter().map(|one| (*one).to_owned()).collect() };
        let mut items = Vec::new();
        for _ in 0..MAX_READS {
            let events = self.ports.store.read_all(after, READ, &filter).await?;
            for event in &events {
                after = event.position;
                if event.event.context.tenant != context.tenant {
                    continue;
                }
                let record = view(event)?;
                items.extend(is_wanted(&query, &record).then_some(record));
                if items.len() == limit {
                    return Ok(AuditPage { items, next: Some(after) });
                }
            }
            if events.len() < READ {
                return Ok(AuditPage { items, next: None });
            }
        }
        Ok(AuditPage { items, next: Some(after) })
    }
}

const OUTCOMES: [&str; 3] = ["accepted", "refused", "denied"];

impl Services {
    /// After which position to begin.
    async fn first(&self, query: &ListAudit) -> Result<u64, UseCaseError> {
        let now = self.ports.clock.now();
        let before = |micros: i64| Timestamp::from_micros(now.as_micros().saturating_sub(micros));
        let since = match (&query.since, query.after) {
            (None, Some(after)) => return Ok(after),
            (None, None) => before(DAY),
            (Some(text), _) => match parse_duration(text) {
                Some(age) => before(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)),
                None => parse_time(text).ok_or_else(|| UseCaseError::Invalid {
                    message: format!("`{text}` is neither an age nor a time"),
                    hint: Some("say 7d, 12h, or 2026-01-31T00:00:00Z".to_owned()),
                })?,
            },
        };
        Ok(self.ports.store.position_at(since).await?.max(query.after.unwrap_or(0)))
    }
}

fn is_wanted(query: &ListAudit, record: &AuditRecordView) -> bool {
    let fits =
        |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    fits(&query.actor, &record.actor)
        && fits(&query.request, &record.request)
        && fits(&query.outcome, &record.outcome)
}

fn view(recorded: &RecordedEvent) -> Result<AuditRecordView, UseCaseError> {
    let event = AuditEvent::decode_data(&recorded.event).map_err(|source| {
        let (stream, version) = (recorded.stream.clone(), recorded.version);
        UseCaseError::Undecodable { stream, version, source }
    })?;
    let (outcome, request, code, subject, times) = match event {
        AuditEvent::CommandAccepted { request, subject } => ("accepted", request, None, subject, 1),
        AuditEvent::CommandRefused { request, code } => ("refused", request, Some(code), None, 1),
        AuditEvent::AttemptDenied { request, code, times } => {
            ("denied", request, Some(code), None, times)
        }
    };
    let context = &recorded.event.context;
    Ok(AuditRecordView {
        position: recorded.position,
        at: format_time(recorded.event.occurred_at),
        actor: context.actor.to_string(),
        request,
        outcome: outcome.to_owned(),
        code,
        subject,
        times,
        correlation: context.correlation.map(|id| id.to_string()),
    })
}
