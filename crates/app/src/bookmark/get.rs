//! GetBookmark.

use async_trait::async_trait;
use flexcore_api::{BookmarkAddress, BookmarkView, GetBookmark};
use flexcore_domain::{DataStream, JsonText, data_stream::DataStreamEvent};
use flexcore_eventsourcing::{Timestamp, fold};
use serde_json::value::RawValue;

use crate::{HandleQuery, RequestContext, Services, UseCaseError, format_time, repository::decode};

#[async_trait]
impl HandleQuery<GetBookmark> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetBookmark,
    ) -> Result<BookmarkView, UseCaseError> {
        self.bookmark_view(context, query.bookmark).await
    }
}

impl Services {
    pub(super) async fn bookmark_view(
        &self,
        context: &RequestContext,
        address: BookmarkAddress,
    ) -> Result<BookmarkView, UseCaseError> {
        let stream = self.bookmark_stream(context, &address).await?;
        let recorded = self.history(&stream, 1).await?;
        let events = decode::<DataStreamEvent>(&stream, &recorded)?;
        let data_stream = fold::<DataStream>(None, 1, &events)
            .map_err(|source| UseCaseError::IllegalHistory { stream, source })?
            .unwrap_or_default();
        let times = recorded.iter().map(|recorded| recorded.event.occurred_at);
        let (previous, changed_at) = last_change(&events, times);
        let bookmark = data_stream.bookmark;
        Ok(BookmarkView {
            bookmark: address,
            previous: previous.and_then(raw),
            execution: bookmark.as_ref().and_then(|b| b.execution).map(|id| id.to_string()),
            state: bookmark.map(|bookmark| bookmark.state).and_then(raw),
            changed_at: changed_at.map(format_time),
            tap: data_stream.plugins.as_ref().map(|plugins| plugins.tap.clone()),
            target: data_stream.plugins.map(|plugins| plugins.target),
            holder: data_stream.holder.map(|id| id.to_string()),
        })
    }
}

/// The state before the last change, and when that was.
fn last_change(
    events: &[DataStreamEvent],
    times: impl Iterator<Item = Timestamp>,
) -> (Option<JsonText>, Option<Timestamp>) {
    let (mut previous, mut current, mut changed_at) = (None, None, None);
    for (event, time) in events.iter().zip(times) {
        let next = match event {
            DataStreamEvent::BookmarkAdvanced { state, .. }
            | DataStreamEvent::BookmarkSet { state } => Some(state.clone()),
            DataStreamEvent::BookmarkReset { remaining } => remaining.clone(),
            _ => continue,
        };
        previous = std::mem::replace(&mut current, next);
        changed_at = Some(time);
    }
    (previous, changed_at)
}

/// A stored state was JSON when it was stored; one that is not any more is left out.
fn raw(state: JsonText) -> Option<Box<RawValue>> {
    RawValue::from_string(state.0).ok()
}
