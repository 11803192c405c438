//! `flexcore events read|tail|verify|stats`

use std::{collections::VecDeque, time::Duration};

use clap::{Args, Subcommand};
use flexcore_api::{EventPage, GetLogStatistics, ReadEvents, VerifyLog};
use flexcore_app::{UseCaseError, verify_reply};

use crate::{
    Exit, Reader,
    failure::Failure,
    session::Session,
    text::{event_page_text, event_text, statistics_text, verify_text},
};

/// How long to wait before looking for new events again.
const POLL: Duration = Duration::from_millis(200);

/// How many events one look gives at most.
const PAGE: usize = 1_000;

/// Verbs of the event log.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsVerb {
    /// Read events in the order of the log
    Read(ReadEvents),
    /// Show the last events and follow the log, a line each, until Ctrl-C
    Tail(TailArguments),
    /// Prove that the log is whole and unchanged
    Verify(VerifyLog),
    /// Count what is in the log
    Stats(GetLogStatistics),
}

/// Arguments of `events tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// Only events of this stream, for example default/execution/ex_…
    #[arg(long)]
    stream: Option<String>,
    /// Only events of this type; may be repeated
    #[arg(long = "type")]
    types: Vec<String>,
    /// How many of the last events to begin with
    #[arg(short = 'n', long, default_value_t = 10)]
    lines: usize,
    /// Show the last events and end
    #[arg(long)]
    no_follow: bool,
}

impl EventsVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::Read(query) => {
                let page = match session.read_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => EventPage { items: vec![], next: None },
                };
                session.output.result(&page, event_page_text)?;
            }
            Self::Tail(arguments) => {
                let reader = session.host.read(&place).await?;
                arguments.follow(session, &reader).await?;
            }
            Self::Verify(VerifyLog {}) => {
                let verifier = session.host.verifier(&place).await?;
                let report = verifier.verify(&[]).await.map_err(UseCaseError::from)?;
                let reply = verify_reply(report);
                session.output.result(&reply, verify_text)?;
                if !reply.intact {
                    return Ok(Exit::Failed);
                }
            }
            Self::Stats(query) => {
                let reader = session.host.read(&place).await?;
                let reply = session.ask(&reader, query).await?;
                session.output.result(&reply, statistics_text)?;
            }
        }
        Ok(Exit::Completed)
    }
}

impl TailArguments {
    async fn follow(&self, session: &Session<'_>, reader: &Reader) -> Result<(), Failure> {
        let mut after = self.beginning(session, reader).await?;
        while !session.output.is_closed() {
            let page = self.page(session, reader, after).await?;
            for event in &page.items {
                session.output.item(event, event_text)?;
                after = event.position;
            }
            if page.next.is_none() {
                if self.no_follow {
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// The position before the first of the last events.
    async fn beginning(&self, session: &Session<'_>, reader: &Reader) -> Result<u64, Failure> {
        let head = session.ask(reader, GetLogStatistics {}).await?.position;
        if self.lines == 0 || (self.stream.is_none() && self.types.is_empty()) {
            return Ok(head.saturating_sub(self.lines as u64));
        }
        // The log is read forward only: which events are the last of their kind shows at its end.
        let mut last = VecDeque::new();
        let mut after = Some(0);
        while let Some(from) = after {
            let page = self.page(session, reader, from).await?;
            last.extend(page.items.iter().map(|event| event.position));
            last.drain(..last.len().saturating_sub(self.lines));
            after = page.next;
        }
        Ok(last.front().map_or(head, |first| first - 1))
    }

    async fn page(
        &self,
        session: &Session<'_>,
        reader: &Reader,
        after: u64,
    ) -> Result<EventPage, Failure> {
        let query = ReadEvents {
            stream: self.stream.clone(),
            types: self.types.clone(),
            after,
            since: None,
            limit: PAGE,
        };
        session.ask(reader, query).await
    }
}
