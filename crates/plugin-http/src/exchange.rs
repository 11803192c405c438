//! One request and its answer, within deadlines and sizes.

use std::{error::Error as _, time::Duration};

use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION},
};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{fault::Fault, problem, rights::Used};

/// How much of an answer is read that only says why there is none.
const MAX_PROBLEM: u64 = 64 * 1024;

/// Until when an answer must have come, and how long it may stand still on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    total: Instant,
    after: Duration,
    idle: Option<Duration>,
    /// What to change if it was too short.
    limit: &'static str,
}

impl Deadline {
    pub(crate) fn new(after: Duration, idle: Option<Duration>, limit: &'static str) -> Self {
        Self { total: Instant::now() + after, after, idle, limit }
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.total.saturating_duration_since(Instant::now())
    }

    /// Waits for something that has to move on.
    async fn hold<T>(&self, what: impl Future<Output = T>) -> Result<T, Fault> {
        let whole =
            |_| Fault::TooLate { what: "gave no answer", after: self.after, limit: self.limit };
        let Some(idle) = self.idle else {
            return timeout_at(self.total, what).await.map_err(whole);
        };
        let still = |_| Fault::TooLate {
            what: "moved nothing",
            after: idle,
            limit: "`idle` in its limits says how long that may be",
        };
        match timeout_at(self.total, timeout(idle, what)).await {
            Ok(moved) => moved.map_err(still),
            Err(late) => Err(whole(late)),
        }
    }
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    response: Response,
    deadline: Deadline,
    used: &'a Used,
    limit: u64,
    read: u64,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON document.
    Json,
    /// A JSON document in each line.
    Lines,
}

/// Sends a request and looks at the head of its answer: 2xx, or a fault that says what it was.
pub(crate) async fn send(
    request: reqwest::RequestBuilder,
    deadline: Deadline,
    used: &Used,
    limit: u64,
) -> Result<Answer<'_>, Fault> {
    let response = deadline.hold(request.send()).await?.map_err(|error| fault_of(&error))?;
    let status = response.status();
    let answer = Answer { response, deadline, used, limit, read: 0 };
    if status.is_success() {
        return Ok(answer);
    }
    if status.is_redirection() {
        let to = header(answer.response.headers(), LOCATION.as_str());
        let to = problem::line(to.unwrap_or("nowhere"));
        return Err(Fault::Redirect { status: status.as_u16(), to });
    }
    Err(answer.refusal(status).await)
}

impl Answer<'_> {
    /// The status of an answer, for who cares which 2xx it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.response.status() == StatusCode::NO_CONTENT
            || self.response.content_length() == Some(0)
    }

    /// What its body is.
    pub(crate) fn form(&self) -> Result<Form, Fault> {
        let headers = self.response.headers();
        let coding = header(headers, CONTENT_ENCODING.as_str()).unwrap_or("identity");
        if coding != "identity" {
            let coding = problem::line(coding);
            return Err(Fault::unusable(format!(
                "it is encoded as `{coding}`, which nobody asked for"
            )));
        }
        let stated = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let kind = stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Ok(Form::Json),
            "application/x-ndjson" | "application/jsonl" | "application/jsonlines" => {
                Ok(Form::Lines)
            }
            kind if kind.starts_with("application/") && kind.ends_with("+json") => Ok(Form::Json),
            "" => Err(Fault::unusable("it has no content type; it must be `application/json`")),
            kind => {
                let kind = problem::line(kind);
                Err(Fault::unusable(format!("it is `{kind}`; it must be `application/json`")))
            }
        }
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Fault> {
        let chunk = self.deadline.hold(self.response.chunk()).await?;
        let chunk = chunk.map_err(|error| match fault_of(&error) {
            Fault::Unreachable { what, .. } | Fault::Unusable { what } => {
                Fault::unusable(format!("it broke off: {what}"))
            }
            other => other,
        })?;
        if let Some(chunk) = &chunk {
            let length = chunk.len() as u64;
            self.used.answer(length);
            self.read = self.read.saturating_add(length);
            if self.read > self.limit {
                return Err(Fault::TooLarge {
                    what: "its answer",
                    limit: self.limit,
                    hint: "`output_bytes` in its limits says how many it may have",
                    is_answer: true,
                });
            }
        }
        Ok(chunk)
    }

    /// The whole body as JSON.
    pub(crate) async fn json(mut self) -> Result<Value, Fault> {
        if self.form()? != Form::Json {
            return Err(Fault::unusable("it has many lines where one document was asked for"));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(chunk.as_ref());
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Fault::unusable(format!("it is no JSON: {error}")))
    }

    /// Why it is no success, in the service's own words.
    async fn refusal(mut self, status: StatusCode) -> Fault {
        self.limit = MAX_PROBLEM;
        let is_json = self.form() == Ok(Form::Json);
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            bytes.extend_from_slice(chunk.as_ref());
        }
        let said = is_json.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        let what = said.as_ref().and_then(problem::text);
        let what =
            what.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason").to_owned());
        Fault::Refused { status: Some(status.as_u16()), what }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What the client says, without the URL, and with its causes.
fn fault_of(error: &reqwest::Error) -> Fault {
    let at = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let mut what = String::new();
    let mut cause = error.source();
    while let Some(one) = cause {
        let text = one.to_string();
        if !what.contains(&text) {
            what = if what.is_empty() { text } else { format!("{what}: {text}") };
        }
        cause = one.source();
    }
    if error.is_timeout() && what.is_empty() {
        what.push_str("the connection took too long");
    }
    let what = problem::line(&what);
    if error.is_connect() || error.is_request() {
        Fault::Unreachable { at, what }
    } else {
        Fault::unusable(what)
    }
}
