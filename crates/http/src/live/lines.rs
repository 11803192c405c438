//! The feed of what the attempts of an execution print.
//!
//! Logs are files that grow; nobody tells when. They are read now and then, more rarely the longer
//! nothing came, and once more after the execution has ended. The id of a message is how far each
//! attempt was read, in the order in which they began: lines come in batches, and only the last one
//! of a batch has an id.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::HeaderMap;
use flexcore_api::ExecutionView;
use flexcore_app::{RequestContext, Start, Subscription, format_time};
use flexcore_domain::{ExecutionId, StepId};
use flexcore_eventsourcing::StreamName;
use flexcore_ports::LogLine;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::{Watchers, filter::execution_stream, message::Message, pump::Feed, unfollowed};
use crate::{
    Api,
    problem::{Fault, Problem},
    rest::query_fields,
};

/// How often logs are read that grow, and that do not.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);

/// What the request says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    steps: Vec<String>,
    sources: Vec<String>,
    /// How far each attempt was read.
    read: Vec<u64>,
}

impl Wanted {
    pub(super) fn read(query: &str, headers: &HeaderMap) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in query_fields(query)? {
            match &*name {
                "step" => wanted.steps.push(value),
                "source" => wanted.sources.push(value),
                "after" => wanted.read = place(&value)?,
                _ => {
                    let text = format!("there is no parameter `{name}` here");
                    let hint = "known are: step, source, after";
                    return Err(Fault::Malformed.because(text).hint(hint));
                }
            }
        }
        if let Some(last) = headers.get("last-event-id") {
            wanted.read = place(last.to_str().unwrap_or("?"))?;
        }
        Ok(wanted)
    }
}

/// `120-0-7`, as an id of a message says it.
fn place(text: &str) -> Result<Vec<u64>, Problem> {
    if matches!(text, "" | "0") {
        return Ok(vec![]);
    }
    text.split('-').map(str::parse).collect::<Result<_, _>>().map_err(|_| {
        Fault::Malformed
            .because(format!("`{text}` is not a place in logs"))
            .hint("send the id of the last message as it was")
    })
}

/// Lines of the attempts of an execution.
pub(super) struct LineFeed {
    api: Arc<Api>,
    execution: ExecutionId,
    stream: StreamName,
    wanted: Wanted,
    watchers: Watchers,
    subscription: Subscription,
    /// Whether the execution has ended, and whether its logs were read to their ends since.
    has_ended: bool,
    is_done: bool,
    /// What was read and not yet told, with the turn to hold it.
    ready: VecDeque<Message>,
    turn: Option<OwnedSemaphorePermit>,
    wait: Duration,
}

impl LineFeed {
    pub(super) async fn start(
        api: Arc<Api>,
        context: &RequestContext,
        execution: &ExecutionView,
        wanted: Wanted,
        watchers: Watchers,
    ) -> Result<Self, Problem> {
        let id = execution.id.parse().map_err(|_| Fault::Internal.because("an id is none"))?;
        let stream = execution_stream(&context.tenant, &execution.id)?;
        let subscription =
            api.log.subscribe(Start::Now).await.map_err(|error| unfollowed(&error))?;
        // Asked again: it may have ended before anybody listened.
        let now = super::known(&api, context, execution.id.clone()).await?;
        Ok(Self {
            api,
            execution: id,
            stream,
            wanted,
            watchers,
            subscription,
            has_ended: has_ended(&now.status),
            is_done: false,
            ready: VecDeque::new(),
            turn: None,
            wait: SOON,
        })
    }

    /// Reads what is new of one attempt; whether there was anything.
    async fn read(&mut self) -> Result<bool, Problem> {
        let logs = Arc::clone(&self.api.logs);
        let turn = self.watchers.turn().await?;
        let attempts = logs.attempts(self.execution).await.map_err(|error| unread(&error))?;
        for (index, (step, attempt)) in attempts.iter().enumerate() {
            if self.wanted.read.len() <= index {
                self.wanted.read.resize(index + 1, 0);
            }
            let steps = &self.wanted.steps;
            if !steps.is_empty() && !steps.iter().any(|name| name == step.as_str()) {
                continue;
            }
            let from = self.wanted.read[index];
            let read = logs.read(self.execution, step, *attempt, from).await;
            let (lines, until) = read.map_err(|error| unread(&error))?;
            if until == from {
                continue;
            }
            self.wanted.read[index] = until;
            self.make_ready(step, *attempt, &lines);
            self.turn = Some(turn);
            return Ok(true);
        }
        Ok(false)
    }

    fn make_ready(&mut self, step: &StepId, attempt: u32, lines: &[LogLine]) {
        let sources = &self.wanted.sources;
        let is_wanted = |line: &&LogLine| sources.is_empty() || sources.contains(&line.source);
        let messages = lines.iter().filter(is_wanted).map(|line| message(step, attempt, line));
        self.ready.extend(messages);
        let place = self.place();
        if let Some(last) = self.ready.back_mut() {
            last.id = place;
        }
    }

    /// Waits until there may be more.
    async fn pause(&mut self) -> Result<(), Problem> {
        tokio::select! {
            () = tokio::time::sleep(self.wait) => self.wait = (self.wait * 2).min(LATER),
            page = self.subscription.next() => {
                let page = page.map_err(|error| unfollowed(&error))?;
                // The log is followed no more: the server ends.
                let Some(page) = page else { self.has_ended = true; return Ok(()) };
                for event in page.events().iter().filter(|event| event.stream == self.stream) {
                    self.has_ended = match &*event.event.type_name {
                        "PipelineExecutionCompleted"
                        | "PipelineExecutionFailed"
                        | "PipelineExecutionCancelled" => true,
                        "PipelineExecutionRetried" => false,
                        _ => self.has_ended,
                    };
                    self.wait = SOON;
                }
            }
        }
        Ok(())
    }
}

fn has_ended(status: &str) -> bool {
    matches!(status, "completed" | "failed" | "cancelled")
}

fn message(step: &StepId, attempt: u32, line: &LogLine) -> Message {
    let data = json!({
        "step": step.as_str(),
        "attempt": attempt,
        "time": format_time(line.time),
        "source": line.source,
        "line": line.line,
    });
    Message { id: None, name: "line".to_owned(), data: data.to_string() }
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(%error, "logs of an execution cannot be read");
    Fault::Internal.because("the logs cannot be read")
}

#[async_trait]
impl Feed for LineFeed {
    async fn next(&mut self) -> Result<Option<Message>, Problem> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            self.turn = None;
            if self.is_done {
                return Ok(None);
            }
            // Looked at before the logs are: what is read then is all that there will be.
            let had_ended = self.has_ended;
            if self.read().await? {
                self.wait = SOON;
                continue;
            }
            if had_ended {
                self.is_done = true;
                let (id, data) = (self.place(), "{}".to_owned());
                return Ok(Some(Message { id, name: "end".to_owned(), data }));
            }
            self.pause().await?;
        }
    }

    fn place(&self) -> Option<String> {
        let read: Vec<String> = self.wanted.read.iter().map(u64::to_string).collect();
        Some(if read.is_empty() { "0".to_owned() } else { read.join("-") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        assert_eq!(place("120-0-7"), Ok(vec![120, 0, 7]));
        assert_eq!(place("0"), Ok(vec![]));
        for wrong in ["-", "1-", "a", "1,2", "99999999999999999999999"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
