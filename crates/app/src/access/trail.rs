//! The audit trail: a record of every command, and of every attempt at what somebody may not.
//!
//! A command that is accepted is recorded in the append of what it changes: both are there, or
//! neither. Records stand on `<tenant>/audit/<day>/<part>`: each part belongs to one process and is
//! written by one append at a time, so that commands which are carried out at the same time do not
//! wait for each other.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use flexcore_domain::access::audit::AuditEvent;
use flexcore_eventsourcing::{Append, EventData, StreamName, Timestamp};
use flexcore_ports::{AppendError, Appended};

use crate::{Permissions, RequestContext, Services, UseCaseError, format_time, streams};

/// Attempts of the same kind within so long are counted, and written down together.
const WINDOW: Duration = Duration::from_mins(1);
/// How many kinds of attempts are told apart; what comes beyond is counted for its tenant only.
const MOST_KINDS: usize = 1_000;
/// Who is named where attempts of many are counted together.
const MANY: &str = "many";

/// What is to be noted of a command on its way; the bus makes it.
#[derive(Debug)]
pub struct AuditTicket {
    request: &'static str,
    is_recorded: AtomicBool,
}

impl AuditTicket {
    pub(crate) fn new(request: &'static str) -> Self {
        Self { request, is_recorded: AtomicBool::new(false) }
    }

    fn is_recorded(&self) -> bool {
        self.is_recorded.load(Ordering::Acquire)
    }
}

/// The parts of the trail that this process writes, and the attempts that it counts.
#[derive(Debug, Default)]
pub(crate) struct AuditLog {
    idle: Mutex<Idle>,
    counted: Mutex<HashMap<Kind, Counted>>,
}

/// Parts of one day that nobody writes at the moment.
#[derive(Debug, Default)]
struct Idle {
    day: String,
    parts: HashMap<Arc<str>, Vec<Part>>,
}

/// A part of the trail.
#[derive(Debug)]
struct Part {
    stream: StreamName,
    version: u64,
}

/// Which attempts are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    tenant: Arc<str>,
    actor: Arc<str>,
    request: &'static str,
    code: &'static str,
}

#[derive(Debug)]
struct Counted {
    since: Timestamp,
    /// Those that are not written down yet.
    times: u64,
}

impl AuditLog {
    fn take(&self, tenant: &Arc<str>, day: &str) -> Option<Part> {
        let mut idle = lock(&self.idle);
        if idle.day != day {
            *idle = Idle { day: day.to_owned(), parts: HashMap::new() };
        }
        idle.parts.get_mut(tenant)?.pop()
    }

    fn give_back(&self, tenant: &Arc<str>, day: &str, part: Part) {
        let mut idle = lock(&self.idle);
        if idle.day == day {
            idle.parts.entry(Arc::clone(tenant)).or_default().push(part);
        }
    }

    /// How many attempts are to be written down with this one; `None`: it is only counted.
    fn count(&self, mut kind: Kind, now: Timestamp) -> Option<(Kind, u64)> {
        let mut counted = lock(&self.counted);
        if !counted.contains_key(&kind) && counted.len() >= MOST_KINDS {
            kind = Kind { actor: MANY.into(), request: MANY, ..kind };
        }
        let window = counted.get_mut(&kind);
        match window {
            Some(window) if now.duration_since(window.since) < WINDOW => {
                window.times += 1;
                None
            }
            Some(window) => {
                let times = window.times + 1;
                *window = Counted { since: now, times: 0 };
                Some((kind, times))
            }
            None => {
                counted.insert(kind.clone(), Counted { since: now, times: 0 });
                Some((kind, 1))
            }
        }
    }

    /// What was only counted, of windows that are over.
    fn over(&self, now: Option<Timestamp>) -> Vec<(Kind, u64)> {
        let mut counted = lock(&self.counted);
        let is_over =
            |window: &Counted| now.is_none_or(|now| now.duration_since(window.since) >= WINDOW);
        let over: Vec<Kind> =
            counted.iter().filter(|(_, one)| is_over(one)).map(|(kind, _)| kind.clone()).collect();
        let taken = over.into_iter().filter_map(|kind| {
            let times = counted.remove(&kind)?.times;
            (times > 0).then_some((kind, times))
        });
        taken.collect()
    }
}

impl Services {
    /// Appends what a request changes. The first append of a command also says that it was accepted.
    pub(crate) async fn append(
        &self,
        context: &RequestContext,
        append: Append,
    ) -> Result<Appended, AppendError> {
        self.append_for(&[context], append).await
    }

    /// The same for what several requests of one tenant change together.
    pub(crate) async fn append_for(
        &self,
        contexts: &[&RequestContext],
        append: Append,
    ) -> Result<Appended, AppendError> {
        let written = append.writes.iter().find(|write| !write.events.is_empty());
        let subject = written.map(|write| write.stream.to_string());
        let (mut tickets, mut records) = (vec![], vec![]);
        for context in contexts {
            let Some(ticket) = context.audit.as_ref().filter(|ticket| !ticket.is_recorded()) else {
                continue;
            };
            let (request, subject) = (ticket.request.to_owned(), subject.clone());
            let record = AuditEvent::CommandAccepted { request, subject };
            records.extend(self.envelopes(context, std::slice::from_ref(&record)));
            tickets.push(ticket);
        }
        let Some(context) = contexts.first().filter(|_| !records.is_empty()) else {
            return self.ports.store.append(append).await;
        };
        let appended = self.append_records(&context.tenant, append, records).await;
        if appended.is_ok() {
            for ticket in tickets {
                ticket.is_recorded.store(true, Ordering::Release);
            }
        }
        appended
    }

    /// Notes how a command ended, unless an append of it has said so already.
    pub(crate) async fn note_end(
        &self,
        context: &RequestContext,
        ticket: &AuditTicket,
        error: Option<&UseCaseError>,
    ) {
        // What was denied has a record of its own.
        let is_denied = matches!(error, Some(UseCaseError::Forbidden { .. }));
        if ticket.is_recorded() || is_denied {
            return;
        }
        let request = ticket.request.to_owned();
        let record = match error {
            None => AuditEvent::CommandAccepted { request, subject: None },
            Some(error) => AuditEvent::CommandRefused { request, code: error.code().to_owned() },
        };
        self.note_record(context, &record).await;
    }

    /// Notes that somebody tried what they may not. Many alike are counted and noted together.
    pub async fn note_denied(
        &self,
        (tenant, actor): (Arc<str>, Arc<str>),
        request: &'static str,
        code: &'static str,
    ) {
        let kind = Kind { tenant, actor, request, code };
        if let Some((kind, times)) = self.audit.count(kind, self.ports.clock.now()) {
            self.note_attempts(kind, times).await;
        }
    }

    /// The error of a caller who may not do what they asked for; that they tried is noted. The bus
    /// says it of requests; what is no request, such as a live stream, says it itself.
    pub async fn forbidden(
        &self,
        context: &RequestContext,
        request: &'static str,
        permission: &'static str,
    ) -> UseCaseError {
        let actor = context.actor.to_string();
        tracing::warn!(tenant = &*context.tenant, actor, request, permission, "refused");
        let error = UseCaseError::Forbidden { actor, request, permission };
        let who = (Arc::clone(&context.tenant), Arc::clone(&context.actor));
        self.note_denied(who, request, error.code()).await;
        error
    }

    /// Writes down attempts that were only counted, of windows that are over.
    pub(crate) async fn note_counted(&self) {
        for (kind, times) in self.audit.over(Some(self.ports.clock.now())) {
            self.note_attempts(kind, times).await;
        }
    }

    /// Writes down all attempts that were only counted so far: this process is to end.
    pub async fn finish_audit(&self) {
        for (kind, times) in self.audit.over(None) {
            self.note_attempts(kind, times).await;
        }
    }

    async fn note_attempts(&self, kind: Kind, times: u64) {
        let Kind { tenant, actor, request, code } = kind;
        let context = RequestContext::new(tenant, actor, Permissions::of([]));
        let (request, code) = (request.to_owned(), code.to_owned());
        self.note_record(&context, &AuditEvent::AttemptDenied { request, code, times }).await;
    }

    /// A record by itself. What it is about has happened: that it cannot be noted changes nothing.
    async fn note_record(&self, context: &RequestContext, record: &AuditEvent) {
        let records = self.envelopes(context, std::slice::from_ref(record));
        match self.append_records(&context.tenant, Append::default(), records).await {
            Ok(_) => {}
            // A store that takes nothing says so to everybody who asks it for anything.
            Err(AppendError::Unavailable(error)) => {
                tracing::debug!(%error, ?record, "the store took no record of the audit");
            }
            Err(error) => {
                let actor = &*context.actor;
                tracing::warn!(%error, ?record, actor, "a record of the audit is lost");
            }
        }
    }

    /// Appends records to a part of the trail that nobody else writes meanwhile, and what they are
    /// about with them.
    async fn append_records(
        &self,
        tenant: &Arc<str>,
        append: Append,
        records: Vec<EventData>,
    ) -> Result<Appended, AppendError> {
        let day = format_time(self.ports.clock.now()).chars().take(10).collect::<String>();
        let count = records.len() as u64;
        let part = self.audit.take(tenant, &day).unwrap_or_else(|| {
            let key = self.ports.ids.next().simple().to_string();
            Part { stream: streams::audit(tenant, &day, &key), version: 0 }
        });
        let append = append.and(Append::to(part.stream.clone(), part.version, records));
        let appended = self.ports.store.append(append).await;
        let written = match &appended {
            Ok(_) => Some(count),
            Err(AppendError::Conflict { stream, .. }) if *stream != part.stream => Some(0),
            Err(AppendError::Invalid(_) | AppendError::Fenced { .. }) => Some(0),
            // Nobody knows what stands there: another part takes what comes.
            Err(_) => None,
        };
        if let Some(written) = written {
            let version = part.version + written;
            self.audit.give_back(tenant, &day, Part { version, ..part });
        }
        appended
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(actor: &str) -> Kind {
        Kind { tenant: "default".into(), actor: actor.into(), request: "WhoAmI", code: "FC0205" }
    }

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn many_attempts_alike_are_noted_together() {
        let log = AuditLog::default();
        assert_eq!(log.count(kind("eve"), at(0)), Some((kind("eve"), 1)));
        for second in 1..60 {
            assert_eq!(log.count(kind("eve"), at(second)), None);
        }
        assert_eq!(log.count(kind("ben"), at(30)), Some((kind("ben"), 1)));
        assert_eq!(log.count(kind("eve"), at(60)), Some((kind("eve"), 60)));
        assert_eq!(log.count(kind("eve"), at(61)), None);
        assert_eq!(log.over(Some(at(100))), []);
        assert_eq!(log.over(Some(at(120))), [(kind("eve"), 1)]);
        assert_eq!(log.over(None), []);
    }

    #[test]
    fn a_flood_of_names_takes_no_more_memory_and_no_more_events() {
        let log = AuditLog::default();
        let noted = (0..100_000).filter_map(|n| log.count(kind(&format!("eve{n}")), at(0)));
        assert_eq!(noted.count(), MOST_KINDS + 1);
        assert!(lock(&log.counted).len() <= MOST_KINDS + 1);
        let rest = log.over(None);
        assert_eq!(rest.len(), 1);
        assert_eq!((&*rest[0].0.actor, rest[0].1), (MANY, 100_000 - MOST_KINDS as u64 - 1));
    }

    #[test]
    fn a_part_is_written_by_one_append_at_a_time() {
        let (log, tenant) = (AuditLog::default(), Arc::<str>::from("default"));
        assert!(log.take(&tenant, "2026-01-01").is_none());
        let part = || Part { stream: streams::audit("default", "2026-01-01", "a"), version: 1 };
        log.give_back(&tenant, "2026-01-01", part());
        assert!(log.take(&"acme".into(), "2026-01-01").is_none());
        assert!(log.take(&tenant, "2026-01-01").is_some());
        assert!(log.take(&tenant, "2026-01-01").is_none());
        log.give_back(&tenant, "2026-01-01", part());
        assert!(log.take(&tenant, "2026-01-02").is_none(), "a new day has parts of its own");
        log.give_back(&tenant, "2026-01-01", part());
        assert!(log.take(&tenant, "2026-01-02").is_none());
    }
}
