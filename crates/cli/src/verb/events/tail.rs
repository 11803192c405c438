//! `flexcore events tail`

use std::{collections::VecDeque, time::Duration};

use clap::Args;
use flexcore_api::{EventPage, GetLogStatistics, ReadEvents};
use flexcore_client::{Client, Watch};

use crate::{failure::Failure, server::Source, session::Session, text::event_text};

/// How long to wait before looking for new events again.
const POLL: Duration = Duration::from_millis(200);

/// How many events one look gives at most.
const PAGE: usize = 1_000;

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
    /// Events of all tenants, which only an operator may see
    #[arg(long)]
    all_tenants: bool,
}

impl TailArguments {
    pub(super) async fn follow(
        &self,
        session: &Session<'_>,
        reader: &Source,
    ) -> Result<(), Failure> {
        let mut after = self.beginning(session, reader).await?;
        while !session.output.is_closed() {
            let page = self.page(session, reader, after).await?;
            for event in &page.items {
                session.output.item(event, event_text)?;
                after = event.position;
            }
            // A page may have few events of this tenant, or none, and not be at the end.
            after = page.next.unwrap_or(after);
            if page.next.is_none() {
                if self.no_follow {
                    break;
                }
                if let Source::Server(server) = reader {
                    return self.watch(session, server, after).await;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }

    /// Events as a server hands them over.
    async fn watch(
        &self,
        session: &Session<'_>,
        server: &Client,
        after: u64,
    ) -> Result<(), Failure> {
        let watch = Watch::events().after(after);
        let watch = self.types.iter().fold(watch, |watch, name| watch.of_type(name));
        let watch = self.stream.iter().fold(watch, |watch, name| watch.of_stream(name));
        let mut events = server.watch(watch);
        while !session.output.is_closed()
            && let Some(event) = events.next().await?
        {
            session.output.item(&event, event_text)?;
        }
        Ok(())
    }

    /// The position before the first of the last events.
    async fn beginning(&self, session: &Session<'_>, reader: &Source) -> Result<u64, Failure> {
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
        reader: &Source,
        after: u64,
    ) -> Result<EventPage, Failure> {
        let query = ReadEvents {
            stream: self.stream.clone(),
            types: self.types.clone(),
            after,
            since: None,
            limit: PAGE,
            all_tenants: self.all_tenants,
        };
        session.ask(reader, query).await
    }
}
