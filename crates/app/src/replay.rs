//! GetAggregate: what a stream's events lead to, now or at a time.
//!
//! Only events are read for it. Snapshots and views come of the same events and are left aside, so
//! that it shows what is true even where they are not.

mod views;

use async_trait::async_trait;
use flexcore_api::{AggregateView, GetAggregate};
use flexcore_domain::{
    AccessIndex, ApiKey, AuditTrail, DataStream, Execution, NameReservation, Pipeline, Plugin, Role,
};
use flexcore_event_codec::StoredState;
use flexcore_eventsourcing::{Aggregate as _, RecordedEvent, StreamName, StreamNameError};
use serde_json::value::RawValue;

use crate::{
    HandleQuery, RequestContext, Services, UseCaseError, format_time, parse_time,
    repository::{Loaded, READ_PAGE, fold_in},
};

/// Where a replay ends.
#[derive(Debug, Clone, Copy)]
enum Until {
    End,
    Version(u64),
    /// The last position that was committed at a time.
    Position(u64),
}

impl Until {
    const fn includes(self, event: &RecordedEvent) -> bool {
        match self {
            Self::End => true,
            Self::Version(version) => event.version <= version,
            Self::Position(position) => event.position <= position,
        }
    }
}

#[async_trait]
impl HandleQuery<GetAggregate> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetAggregate,
    ) -> Result<AggregateView, UseCaseError> {
        let stream: StreamName = query
            .stream
            .parse()
            .map_err(|error: StreamNameError| UseCaseError::invalid(error.to_string()))?;
        let until = self.until(&query).await?;
        if !context.may_see(&stream) {
            return Err(nothing_there(&stream, until));
        }
        match stream.category().as_str() {
            Execution::CATEGORY => self.replay::<Execution>(&stream, until).await,
            DataStream::CATEGORY => self.replay::<DataStream>(&stream, until).await,
            Pipeline::CATEGORY => self.replay::<Pipeline>(&stream, until).await,
            NameReservation::CATEGORY => self.replay::<NameReservation>(&stream, until).await,
            Plugin::CATEGORY => self.replay::<Plugin>(&stream, until).await,
            ApiKey::CATEGORY => self.replay::<ApiKey>(&stream, until).await,
            Role::CATEGORY => self.replay::<Role>(&stream, until).await,
            AccessIndex::CATEGORY => self.replay::<AccessIndex>(&stream, until).await,
            AuditTrail::CATEGORY => self.replay::<AuditTrail>(&stream, until).await,
            other => Err(UseCaseError::Invalid {
                message: format!("there are no aggregates of category `{other}`"),
                hint: Some(format!(
                    "a stream is <tenant>/<category>/<key>, its category one of {}",
                    [
                        Execution::CATEGORY,
                        DataStream::CATEGORY,
                        Pipeline::CATEGORY,
                        NameReservation::CATEGORY,
                        Plugin::CATEGORY,
                        ApiKey::CATEGORY,
                        Role::CATEGORY,
                        AccessIndex::CATEGORY,
                        AuditTrail::CATEGORY,
                    ]
                    .join(", ")
                )),
            }),
        }
    }
}

impl Services {
    async fn until(&self, query: &GetAggregate) -> Result<Until, UseCaseError> {
        match (query.at_version, &query.at_time) {
            (None, None) => Ok(Until::End),
            (Some(0), None) => {
                Err(UseCaseError::invalid("versions begin at 1: the first event of the stream"))
            }
            (Some(version), None) => Ok(Until::Version(version)),
            (None, Some(text)) => {
                let time = parse_time(text).ok_or_else(|| {
                    UseCaseError::invalid(format!("`{text}` is not an RFC 3339 time"))
                })?;
                Ok(Until::Position(self.ports.store.position_at(time).await?))
            }
            (Some(_), Some(_)) => {
                Err(UseCaseError::invalid("give a version or a time, but not both"))
            }
        }
    }

    async fn replay<A>(
        &self,
        stream: &StreamName,
        until: Until,
    ) -> Result<AggregateView, UseCaseError>
    where
        A: StoredState + Send,
    {
        let mut loaded = Loaded::<A> { state: None, version: 0 };
        let mut last: Option<RecordedEvent> = None;
        loop {
            let page = self.ports.store.read_stream(stream, loaded.version + 1, READ_PAGE).await?;
            let wanted = page.iter().take_while(|event| until.includes(event)).count();
            loaded = fold_in(stream, loaded, &page[..wanted])?;
            let is_end = wanted < READ_PAGE;
            last = page.into_iter().take(wanted).next_back().or(last);
            if is_end {
                break;
            }
        }
        let (Some(state), Some(last)) = (loaded.state, last) else {
            return Err(nothing_there(stream, until));
        };
        if let Until::Version(version) = until
            && loaded.version < version
        {
            return Err(UseCaseError::NotFound {
                what: "version",
                name: format!("{version} of {stream}"),
                hint: Some(format!("the stream has {} events", loaded.version)),
            });
        }
        let state = String::from_utf8(state.encode_state()).ok().and_then(raw_json);
        let state = state.ok_or_else(|| UseCaseError::invalid("the state is not JSON"))?;
        Ok(AggregateView {
            stream: stream.to_string(),
            category: stream.category(),
            version: loaded.version,
            position: last.position,
            committed_at: format_time(last.committed_at),
            state,
        })
    }
}

fn raw_json(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}

fn nothing_there(stream: &StreamName, until: Until) -> UseCaseError {
    let hint = match until {
        Until::Position(_) => {
            "at that time it had no events; `flexcore events read --stream` lists all"
        }
        Until::End | Until::Version(_) => {
            "`flexcore events read` shows streams beside their events"
        }
    };
    UseCaseError::NotFound { what: "stream", name: stream.to_string(), hint: Some(hint.to_owned()) }
}
