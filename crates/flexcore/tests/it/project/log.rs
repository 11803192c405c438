//! The event log as `events read` shows it.

use serde_json::Value;

use super::Project;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) position: u64,
    pub(crate) stream: String,
    pub(crate) kind: String,
    pub(crate) payload: Value,
}

impl Event {
    /// The step that it is about.
    pub(crate) fn step(&self) -> Option<&str> {
        self.payload["step"].as_str()
    }
}

/// All events of the log, in order, page by page.
pub(super) fn events(project: &Project) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let from = from.to_string();
        let arguments = ["events", "read", "--limit", "1000", "--after", &from];
        let page = project.json(&arguments).completes().value();
        let items = page["items"].as_array().expect("a page has items");
        events.extend(items.iter().map(event));
        after = page["next"].as_u64();
    }
    events
}

fn event(item: &Value) -> Event {
    let text = |name: &str| item[name].as_str().expect("events have texts").to_owned();
    Event {
        position: item["position"].as_u64().expect("events have positions"),
        stream: text("stream"),
        kind: text("type"),
        payload: item["payload"].clone(),
    }
}
