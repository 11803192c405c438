//! Waiting: for an answer, for a position of the log, for an execution.

use std::{sync::Arc, time::Duration};

use flexcore_app::{RequestContext, Start, Subscription};
use flexcore_eventsourcing::StreamName;
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    Api,
    problem::{Fault, Problem},
};

/// How long a query waits for a position that this node has not heard of yet.
const BEHIND: Duration = Duration::from_secs(1);
/// Nobody is so many events ahead: a position beyond is of another log, or of none.
const AHEAD: u64 = 1_000_000;
/// A store may be written by others that tell nobody: how often to look.
const LOOK: Duration = Duration::from_millis(100);

/// Gives up on what takes too long.
///
/// # Errors
/// [`Fault::Timeout`], and what the call says.
pub(super) async fn in_time<T>(
    patience: Duration,
    call: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    timeout(patience, call).await.unwrap_or_else(|_| {
        let text = format!("it took longer than {} s", patience.as_secs());
        Err(Fault::Timeout.because(text))
    })
}

/// Waits until the log has come to a position, so that who wrote it reads it.
///
/// # Errors
/// [`Fault::Behind`] if it does not come there in time.
pub(super) async fn reach(api: &Api, position: Option<u64>) -> Result<(), Problem> {
    let Some(position) = position else { return Ok(()) };
    let mut appended = api.events.appended();
    let deadline = Instant::now() + BEHIND.min(api.options.patience);
    loop {
        let head = api.events.head().await.map_err(flexcore_app::UseCaseError::from)?;
        if head.position >= position {
            return Ok(());
        }
        if Instant::now() >= deadline || position - head.position > AHEAD {
            let text = format!("the log is at position {}, not at {position}", head.position);
            return Err(Fault::Behind.because(text).retry_after(1));
        }
        // Either way the log is asked again.
        let _ = timeout(LOOK, appended.changed()).await;
    }
}

/// What tells of an execution in a reply.
#[derive(Debug, Deserialize)]
struct Execution<'a> {
    id: &'a str,
    status: &'a str,
}

/// Whether an execution has ended, as a reply tells of it.
pub(super) fn has_ended(json: &[u8]) -> bool {
    let execution = serde_json::from_slice::<Execution<'_>>(json);
    execution.is_ok_and(|one| matches!(one.status, "completed" | "failed" | "cancelled"))
}

/// Asks again whenever something happened to the execution, until there is news or the time is up;
/// either way the last answer.
///
/// # Errors
/// As the query's.
pub(super) async fn until<F>(
    api: &Arc<Api>,
    context: &RequestContext,
    ask: impl Fn() -> F,
    is_news: impl Fn(&[u8]) -> bool,
    wait: Duration,
) -> Result<Vec<u8>, Problem>
where
    F: Future<Output = Result<Vec<u8>, Problem>>,
{
    let deadline = Instant::now() + wait;
    // Before the first answer, so that nothing happens unheard.
    let mut log = api.log.subscribe(Start::Now).await.map_err(|error| {
        tracing::error!(%error, "the log cannot be followed");
        Fault::Internal.because("the log cannot be followed")
    })?;
    loop {
        let json = ask().await?;
        let execution = serde_json::from_slice::<Execution<'_>>(&json);
        let stream = execution
            .ok()
            .and_then(|one| StreamName::new(&context.tenant, "execution", [one.id]).ok());
        let Some(stream) = stream.filter(|_| !is_news(&json)) else { return Ok(json) };
        tokio::select! {
            () = api.ending.cancelled() => return Ok(json),
            heard = timeout_at(deadline, hear(&mut log, &stream)) => match heard {
                Ok(true) => {}
                Ok(false) | Err(_) => return Ok(json),
            },
        }
    }
}

/// Waits for an event of a stream; whether there was one.
async fn hear(log: &mut Subscription, stream: &StreamName) -> bool {
    while let Ok(Some(page)) = log.next().await {
        if page.events().iter().any(|event| event.stream == *stream) {
            return true;
        }
    }
    false
}
