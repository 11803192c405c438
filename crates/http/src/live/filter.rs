//! Which events a watcher wants.

use std::sync::Arc;

use axum::http::HeaderMap;
use flexcore_app::RequestContext;
use flexcore_eventsourcing::{RecordedEvent, StreamName};

use crate::{
    problem::{Fault, Problem},
    rest::query_fields,
};

/// What the request says; each may be repeated, and is then one or the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) types: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) streams: Vec<String>,
    /// Ids, or what an execution is named by.
    pub(super) executions: Vec<String>,
    /// After which position; `None`: with what comes next.
    pub(super) after: Option<u64>,
}

impl Wanted {
    pub(super) fn read(query: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in query_fields(query)? {
            match &*name {
                "type" => wanted.types.push(value),
                "category" => wanted.categories.push(value),
                "stream" => wanted.streams.push(value),
                "execution" => wanted.executions.push(value),
                "after" => wanted.after = Some(position(&value)?),
                _ => {
                    let text = format!("there is no parameter `{name}` here");
                    let hint = "known are: type, category, stream, execution, after";
                    return Err(Fault::Malformed.because(text).hint(hint));
                }
            }
        }
        // What a client says when it comes back is newer than what it asked for at first.
        if let Some(last) = headers.get("last-event-id") {
            wanted.after = Some(position(last.to_str().unwrap_or_default())?);
        }
        Ok(wanted)
    }
}

fn position(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Fault::Malformed.because(format!("`{text}` is not a position")))
}

/// The stream of an execution.
pub(super) fn execution_stream(tenant: &str, id: &str) -> Result<StreamName, Problem> {
    StreamName::new(tenant, "execution", [id])
        .map_err(|error| Fault::Malformed.because(error.to_string()))
}

/// The events of one tenant, narrowed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    tenant: Arc<str>,
    pub(super) types: Vec<String>,
    categories: Vec<String>,
    /// Any of them; none: all.
    streams: Vec<StreamName>,
    pub(super) after: Option<u64>,
}

impl Filter {
    /// What a caller wants, and of these streams besides.
    pub(super) fn new(
        context: &RequestContext,
        wanted: Wanted,
        mut streams: Vec<StreamName>,
    ) -> Result<Self, Problem> {
        let Wanted { types, categories, streams: named, executions: _, after } = wanted;
        for name in named {
            let stream = name.parse::<StreamName>();
            streams.push(stream.map_err(|error| Fault::Malformed.because(error.to_string()))?);
        }
        Ok(Self { tenant: Arc::clone(&context.tenant), types, categories, streams, after })
    }

    /// The one stream that it is about, if it is about one.
    pub(super) fn stream(&self) -> Option<&StreamName> {
        match &*self.streams {
            [stream] => Some(stream),
            _ => None,
        }
    }

    pub(super) fn wants(&self, event: &RecordedEvent) -> bool {
        fn is_among(names: &[String], name: &str) -> bool {
            names.is_empty() || names.iter().any(|one| one == name)
        }
        *event.event.context.tenant == *self.tenant
            && (self.streams.is_empty() || self.streams.contains(&event.stream))
            && is_among(&self.types, &event.event.type_name)
            && is_among(&self.categories, &event.stream.category())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_when_it_comes_back_wins() {
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", "12".parse().unwrap());
        let wanted = Wanted::read("after=3&type=A&type=B&category=execution", &headers).unwrap();
        assert_eq!(wanted.after, Some(12));
        assert_eq!(wanted.types, ["A", "B"]);
        assert!(Wanted::read("afterr=3", &headers).is_err());
        assert!(Wanted::read("after=-3", &headers).is_err());
    }
}
