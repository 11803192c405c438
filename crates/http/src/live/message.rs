//! What a watcher is told.

use axum::response::sse::Event;
use serde_json::{json, value::RawValue};

use crate::problem::Problem;

/// The name of the message that ends a stream because of an error.
const ERROR: &str = "error";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Where the feed is after it: what a client that comes back begins with.
    pub(super) id: Option<String>,
    /// What it is: an event's type, `line`, `end`, `error`.
    pub(super) name: String,
    /// JSON.
    pub(super) data: String,
}

impl Message {
    /// The last message of a stream that breaks off.
    pub(super) fn of_problem(problem: &Problem) -> Self {
        Self { id: None, name: ERROR.to_owned(), data: problem.document(None) }
    }

    /// As a server-sent event.
    pub(super) fn into_event(self) -> Event {
        let event = Event::default().event(self.name).data(self.data);
        match self.id {
            Some(id) => event.id(id),
            None => event,
        }
    }

    /// As the text of a WebSocket message: `{"id": …, "event": …, "data": …}`.
    pub(super) fn into_text(self) -> String {
        let data = RawValue::from_string(self.data).ok();
        let message = Text { id: self.id.as_deref(), event: &self.name, data: data.as_deref() };
        serde_json::to_string(&message).unwrap_or_default()
    }
}

#[derive(serde::Serialize)]
struct Text<'a> {
    id: Option<&'a str>,
    event: &'a str,
    data: Option<&'a RawValue>,
}

/// A sign of life as an event without data: browsers take its id and tell nobody.
pub(super) fn heartbeat_event(place: Option<String>) -> Event {
    match place {
        Some(place) => Event::default().id(place),
        None => Event::default().comment("alive"),
    }
}

/// A sign of life as the text of a WebSocket message.
pub(super) fn heartbeat_text(place: Option<&str>) -> String {
    json!({ "id": place, "event": "heartbeat", "data": null }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_as_it_was_written() {
        let message = Message {
            id: Some("7".to_owned()),
            name: "line".to_owned(),
            data: r#"{"n":12345678901234567890123}"#.to_owned(),
        };
        let text = message.into_text();
        assert_eq!(text, r#"{"id":"7","event":"line","data":{"n":12345678901234567890123}}"#);
    }
}
