//! The feed of events: what is past, from the log, and then what comes.

use std::{sync::Arc, vec};

use async_trait::async_trait;
use flexcore_app::{LogPage, Start, Subscription, UseCaseError, event_view};
use flexcore_eventsourcing::RecordedEvent;
use flexcore_ports::ReadFilter;
use tokio::sync::OwnedSemaphorePermit;

use super::{Watchers, filter::Filter, message::Message, pump::Feed, unfollowed};
use crate::{Api, problem::Problem};

/// How many events of the past are read at once.
const PAGE: usize = 50;

/// Events that a filter wants.
pub(super) struct EventFeed {
    api: Arc<Api>,
    filter: Filter,
    watchers: Watchers,
    subscription: Subscription,
    /// The position up to which everything was looked at.
    seen: u64,
    /// What is past ends here; what is newer comes from the subscription.
    past_until: u64,
    /// The version of the next event of the one stream that is wanted.
    next_version: u64,
    page: Page,
}

/// What was read and not yet told.
enum Page {
    Nothing,
    /// Of the past, with the turn to hold it, and whether nothing of the past comes after it.
    Past {
        events: vec::IntoIter<RecordedEvent>,
        is_last: bool,
        _turn: OwnedSemaphorePermit,
    },
    /// As it came, shared with all other watchers, and how many of its events were looked at.
    Now(LogPage, usize),
}

impl EventFeed {
    pub(super) async fn start(
        api: Arc<Api>,
        filter: Filter,
        watchers: Watchers,
    ) -> Result<Self, Problem> {
        let subscription =
            api.log.subscribe(Start::Now).await.map_err(|error| unfollowed(&error))?;
        let head = subscription.checkpoint().position;
        // Who names a position that is still to come hears nothing before it.
        let seen = filter.after.unwrap_or(head);
        Ok(Self {
            api,
            filter,
            watchers,
            subscription,
            seen,
            past_until: head,
            next_version: 1,
            page: Page::Nothing,
        })
    }

    /// The next wanted event of what was read; the rest is looked at and forgotten.
    fn take(&mut self) -> Option<Message> {
        let Self { filter, seen, past_until, page, .. } = self;
        let told = match page {
            Page::Nothing => None,
            Page::Past { events, .. } => next_wanted(filter, seen, events),
            Page::Now(log_page, looked_at) => {
                let mut events =
                    log_page.events()[*looked_at..].iter().inspect(|_| *looked_at += 1);
                next_wanted(filter, seen, &mut events)
            }
        };
        if told.is_none() {
            if let Page::Past { is_last: true, .. } = page {
                *seen = (*seen).max(*past_until);
            }
            *page = Page::Nothing;
        }
        told
    }

    async fn read_past(&mut self) -> Result<(), Problem> {
        let turn = self.watchers.turn().await?;
        let store = &self.api.events;
        let read = match self.filter.stream() {
            Some(stream) => store.read_stream(stream, self.next_version, PAGE).await,
            None => {
                let filter = ReadFilter { types: self.filter.types.clone() };
                store.read_all(self.seen, PAGE, &filter).await
            }
        };
        let mut events = read.map_err(UseCaseError::from)?;
        self.next_version = events.last().map_or(self.next_version, |event| event.version + 1);
        let until = self.past_until;
        let is_end = events.len() < PAGE || events.iter().any(|event| event.position >= until);
        events.retain(|event| event.position <= until);
        self.page = Page::Past { events: events.into_iter(), is_last: is_end, _turn: turn };
        Ok(())
    }
}

/// The first event that is wanted and new, as a message.
fn next_wanted<E: std::borrow::Borrow<RecordedEvent>>(
    filter: &Filter,
    seen: &mut u64,
    events: &mut impl Iterator<Item = E>,
) -> Option<Message> {
    events.find_map(|event| {
        let event = event.borrow();
        let is_new = event.position > *seen;
        *seen = (*seen).max(event.position);
        (is_new && filter.wants(event)).then(|| message(event))
    })
}

#[async_trait]
impl Feed for EventFeed {
    async fn next(&mut self) -> Result<Option<Message>, Problem> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            if self.seen < self.past_until {
                self.read_past().await?;
                continue;
            }
            let page = self.subscription.next().await.map_err(|error| unfollowed(&error))?;
            let Some(page) = page else { return Ok(None) };
            self.page = Page::Now(page, 0);
        }
    }

    fn place(&self) -> Option<String> {
        Some(self.seen.to_string())
    }
}

fn message(event: &RecordedEvent) -> Message {
    let view = event_view(event);
    let data = serde_json::to_string(&view).unwrap_or_default();
    Message { id: Some(view.position.to_string()), name: view.type_name, data }
}
