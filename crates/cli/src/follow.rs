//! Following an execution that a server drives: what `run` and `execution retry` show of it.

use std::sync::Arc;

use flexcore_api::{CancelExecution, ExecutionView, GetExecution};
use flexcore_app::{RunObserver as _, execution_event};
use flexcore_client::{Client, EventStream, Watch};
use flexcore_domain::{ExecutionStatus, execution::ExecutionEvent};

use crate::{
    drive::Ended, failure::Failure, interrupt::Interrupts, progress::Display, session::Session,
};

impl Session<'_> {
    /// Shows what happens in an execution after a position, until it ends. The first Ctrl-C has the
    /// server cancel it, the second leaves it to the server.
    pub(crate) async fn follow(
        &self,
        server: &Client,
        view: &ExecutionView,
        after: u64,
    ) -> Result<Ended, Failure> {
        let display = Display::begin(Arc::clone(&self.output), view, self.host.clock());
        let mut interrupts = Interrupts::listen()?;
        let mut events = server.watch(Watch::execution(&view.id).after(after));
        let followed = async {
            tokio::select! {
                ended = shown(&mut events, &display) => return ended,
                () = interrupts.next() => {}
            }
            display.say("cancelling; press Ctrl-C again to leave it to the server");
            cancel(server, &view.id, &display).await;
            tokio::select! {
                ended = shown(&mut events, &display) => ended,
                () = interrupts.next() => Ok(Ended::Interrupted),
            }
        };
        let ended = followed.await;
        display.finish();
        ended
    }

    /// An execution as a server has it.
    pub(crate) async fn view_at(
        &self,
        server: &Client,
        execution: &str,
    ) -> Result<ExecutionView, Failure> {
        Ok(server.query(&GetExecution { execution: execution.to_owned() }).await?)
    }
}

/// The position before everything that happened in an execution.
pub(crate) fn before(view: &ExecutionView) -> u64 {
    view.timeline.first().map_or(0, |entry| entry.position.saturating_sub(1))
}

/// The position of the last that happened in an execution.
pub(crate) fn newest(view: &ExecutionView) -> u64 {
    view.timeline.last().map_or(0, |entry| entry.position)
}

async fn shown(events: &mut EventStream, display: &Display) -> Result<Ended, Failure> {
    while let Some(event) = events.next().await? {
        // An event of a newer server that this version does not know changes nothing here.
        let Some(event) = execution_event(&event) else { continue };
        display.recorded(&event);
        match event {
            ExecutionEvent::Completed => return Ok(Ended::With(ExecutionStatus::Completed)),
            ExecutionEvent::Failed { .. } => return Ok(Ended::With(ExecutionStatus::Failed)),
            ExecutionEvent::Cancelled => return Ok(Ended::With(ExecutionStatus::Cancelled)),
            _ => {}
        }
    }
    Ok(Ended::Interrupted)
}

async fn cancel(server: &Client, execution: &str, display: &Display) {
    let command = CancelExecution {
        execution: execution.to_owned(),
        reason: Some("interrupted from the terminal".to_owned()),
    };
    if let Err(error) = server.command(&command).await {
        display.say(&format!("the cancellation was not recorded: {error}"));
    }
}
