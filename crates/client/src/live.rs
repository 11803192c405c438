//! Events as they happen, over connections that break and come back.

use std::collections::VecDeque;

use flexcore_api::EventView;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Response;

use crate::{Client, ClientError, retry, sse::Parser};

/// How often a stream is begun anew without a single word in between, before it is given up.
const FRUITLESS: u32 = 8;

/// What is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    execution: Option<String>,
    types: Vec<String>,
    streams: Vec<String>,
    after: Option<u64>,
}

impl Watch {
    /// All events.
    pub fn events() -> Self {
        Self::default()
    }

    /// The events of one execution.
    pub fn execution(id: &str) -> Self {
        Self { execution: Some(id.to_owned()), ..Self::default() }
    }

    /// Only events of this type, or of another that is named.
    #[must_use]
    pub fn of_type(mut self, type_name: &str) -> Self {
        self.types.push(type_name.to_owned());
        self
    }

    /// Only events of this stream, or of another that is named.
    #[must_use]
    pub fn of_stream(mut self, stream: &str) -> Self {
        self.streams.push(stream.to_owned());
        self
    }

    /// Beginning after this position; otherwise with what comes next.
    #[must_use]
    pub fn after(mut self, position: u64) -> Self {
        self.after = Some(position);
        self
    }

    fn target(&self) -> String {
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = match &self.execution {
            Some(id) => format!("executions/{}/live", escaped(id)),
            None => "events/live".to_owned(),
        };
        let types = self.types.iter().map(|name| format!("type={}", escaped(name)));
        let streams = self.streams.iter().map(|name| format!("stream={}", escaped(name)));
        let after = self.after.map(|after| format!("after={after}"));
        let query: Vec<String> = types.chain(streams).chain(after).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

/// Events one by one. A stream that breaks is begun anew after the last event that came, so that
/// none is missed and none comes twice.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    watch: Watch,
    /// The position of the last event that was handed out, or after which the server said that
    /// there is nothing of what is watched.
    last: Option<u64>,
    open: Option<Open>,
    ready: VecDeque<Heard>,
    fruitless: u32,
}

/// What a stream said.
#[derive(Debug)]
enum Heard {
    Event(Box<EventView>),
    /// It came so far, and had nothing to say.
    Place(u64),
}

#[derive(Debug)]
struct Open {
    response: Response,
    parser: Parser,
}

impl EventStream {
    pub(crate) fn new(client: Client, watch: Watch) -> Self {
        let last = watch.after;
        Self { client, watch, last, open: None, ready: VecDeque::new(), fruitless: 0 }
    }

    /// The position after which the stream goes on, if it is known.
    pub const fn position(&self) -> Option<u64> {
        self.last
    }

    /// Connects, unless it is connected: from then on no event is missed, even if nothing was said
    /// about where to begin.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub async fn connect(&mut self) -> Result<(), ClientError> {
        while self.open.is_none() {
            match self.client.open(&self.watch.target(), self.last).await {
                Ok(response) => {
                    self.open = Some(Open { response, parser: Parser::default() });
                }
                Err(error) => self.pause(error).await?,
            }
        }
        Ok(())
    }

    /// The next event, whenever it comes.
    ///
    /// # Errors
    /// [`ClientError::Problem`] if the server refuses; [`ClientError::Unreachable`] if the stream
    /// broke and could not be begun anew for some time.
    pub async fn next(&mut self) -> Result<Option<EventView>, ClientError> {
        loop {
            match self.ready.pop_front() {
                Some(Heard::Event(event)) => {
                    self.last = Some(event.position);
                    return Ok(Some(*event));
                }
                Some(Heard::Place(position)) => {
                    self.last = self.last.max(Some(position));
                    continue;
                }
                None => {}
            }
            self.connect().await?;
            match self.read().await {
                Ok(()) => {}
                Err(error @ ClientError::Reply { .. }) => return Err(error),
                Err(error) => {
                    self.open = None;
                    self.pause(error).await?;
                }
            }
        }
    }

    /// Reads what comes next, be it a part of an event or a sign of life.
    async fn read(&mut self) -> Result<(), ClientError> {
        let silence = self.client.options().silence;
        let Some(open) = &mut self.open else { return Ok(()) };
        let chunk = tokio::time::timeout(silence, open.response.chunk()).await;
        let chunk = match chunk {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Err(self.client.broken("the stream ended")),
            Ok(Err(error)) => return Err(self.client.broken(crate::error::chain(&error))),
            Err(_) => return Err(self.client.broken("the stream fell silent")),
        };
        self.fruitless = 0;
        let messages = open.parser.feed(&chunk);
        let messages =
            messages.map_err(|_| self.client.not_ours(200, "a line of the stream does not end"))?;
        for message in messages {
            // What has no place in the log is about the stream, which tells by its end what it
            // means.
            let Some(id) = message.id else { continue };
            let wrong = |error: String| self.client.not_ours(200, &error);
            let heard = match message.data {
                Some(data) => {
                    let event: EventView =
                        serde_json::from_str(&data).map_err(|error| wrong(error.to_string()))?;
                    Heard::Event(Box::new(event))
                }
                None => match id.parse() {
                    Ok(position) => Heard::Place(position),
                    Err(_) => continue,
                },
            };
            // A stream that was begun anew may repeat itself.
            if !matches!(&heard, Heard::Event(event) if self.last >= Some(event.position)) {
                self.ready.push_back(heard);
            }
        }
        Ok(())
    }

    /// Waits before the next try, unless the server refused for good or it was tried often enough.
    async fn pause(&mut self, error: ClientError) -> Result<(), ClientError> {
        let is_final = error.status().is_some_and(|status| !matches!(status, 429 | 502..=504));
        self.fruitless += 1;
        if is_final || self.fruitless > FRUITLESS {
            return Err(error);
        }
        tokio::time::sleep(retry::wait(self.fruitless, None)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_a_target() {
        assert_eq!(Watch::events().target(), "events/live");
        let watch = Watch::execution("ex_1").of_type("A").of_type("B").after(7);
        assert_eq!(watch.target(), "executions/ex%5F1/live?type=A&type=B&after=7");
        let watch = Watch::events().of_stream("default/execution/x");
        assert_eq!(watch.target(), "events/live?stream=default%2Fexecution%2Fx");
    }
}
