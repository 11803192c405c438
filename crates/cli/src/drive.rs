//! Driving an execution to its end: what `run`, `execution retry` and `execution cancel` share.

use std::{path::Path, sync::Arc, time::Duration};

use flexcore_api::{CancelExecution, ExecutionView, GetExecution};
use flexcore_app::{RunError, RunObserver};
use flexcore_domain::{ExecutionId, ExecutionStatus};
use tokio_util::sync::CancellationToken;

use crate::{
    Exit, Place, StoreAddress, Writer,
    failure::Failure,
    interrupt::Interrupts,
    place::{Located, STATE_FOLDER},
    progress::Display,
    session::Session,
    text::{first_error_text, summary_text},
};

/// A moment longer than a lease lasts, so that it has run out when it is asked for.
const AFTER_EXPIRY: Duration = Duration::from_millis(20);

/// How driving an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The execution is at its end.
    With(ExecutionStatus),
    /// It was left for a later owner.
    Interrupted,
}

impl Session<'_> {
    /// Drives an execution to its end and shows what happens meanwhile. The first Ctrl-C cancels
    /// it, the second leaves it interrupted at once.
    pub(crate) async fn drive(
        &self,
        writer: &Writer,
        execution: ExecutionId,
    ) -> Result<Ended, Failure> {
        let view = self.execution_view(writer, execution).await?;
        let clock = Arc::clone(&writer.services.ports().clock);
        let display = Arc::new(Display::begin(Arc::clone(&self.output), &view, clock));
        let (stop, done) = (CancellationToken::new(), CancellationToken::new());
        let mut interrupts = Interrupts::listen()?;
        let run = async {
            let observer = Arc::clone(&display) as Arc<dyn RunObserver>;
            let ended = writer.runner.run(&self.context, execution, observer, stop.clone()).await;
            done.cancel();
            ended
        };
        let watch = async {
            tokio::select! {
                () = done.cancelled() => return,
                () = interrupts.next() => {}
            }
            display.say("cancelling; press Ctrl-C again to leave it interrupted at once");
            self.cancel(writer, execution, &display).await;
            tokio::select! {
                () = done.cancelled() => {}
                () = interrupts.next() => stop.cancel(),
            }
        };
        let (ended, ()) = tokio::join!(run, watch);
        display.finish();
        match ended {
            Ok(status) => Ok(Ended::With(status)),
            Err(RunError::Stopped { .. }) => Ok(Ended::Interrupted),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits while another process has an execution, as long as its lease lasts. If it lives, it has
    /// renewed it by then, and driving the execution is refused.
    pub(crate) async fn wait_for_lease(
        &self,
        writer: &Writer,
        execution: ExecutionId,
    ) -> Result<(), Failure> {
        let Some(holder) = writer.services.live_owner(execution).await? else { return Ok(()) };
        let seconds = holder.expires_in.as_secs_f64();
        self.output.note(&format!(
            "{execution} is held by {}; if that is gone, its lease ends in {seconds:.1} s: waiting",
            holder.node
        ));
        tokio::time::sleep(holder.expires_in + AFTER_EXPIRY).await;
        Ok(())
    }

    async fn cancel(&self, writer: &Writer, execution: ExecutionId, display: &Display) {
        let cancel = CancelExecution {
            execution: execution.to_string(),
            reason: Some("interrupted from the terminal".to_owned()),
        };
        if let Err(error) = writer.commands.execute(&self.context, cancel).await {
            display.say(&format!("the cancellation was not recorded: {error}"));
        }
    }

    /// An execution as its events tell it.
    pub(crate) async fn execution_view(
        &self,
        writer: &Writer,
        execution: ExecutionId,
    ) -> Result<ExecutionView, Failure> {
        let query = GetExecution { execution: execution.to_string() };
        Ok(writer.queries.ask(&self.context, query).await?)
    }

    /// Shows how an execution ended: its summary as the result, its first error and what to type
    /// next as messages.
    pub(crate) async fn conclude(
        &self,
        writer: &Writer,
        located: &Located,
        execution: ExecutionId,
        ended: Ended,
    ) -> Result<Exit, Failure> {
        let view = self.execution_view(writer, execution).await?;
        self.conclude_with(located, &view, ended)
    }

    /// The same of an execution that was looked at already.
    pub(crate) fn conclude_with(
        &self,
        located: &Located,
        view: &ExecutionView,
        ended: Ended,
    ) -> Result<Exit, Failure> {
        self.output.result(view, summary_text)?;
        if !self.output.is_json() {
            self.show_next(located, view, ended);
        }
        Ok(match ended {
            Ended::With(status) => Exit::of_execution(status),
            Ended::Interrupted => Exit::Cancelled,
        })
    }

    /// Shows an execution that ended earlier as if it had ended now.
    pub(crate) async fn recall(
        &self,
        writer: &Writer,
        located: &Located,
        execution: ExecutionId,
    ) -> Result<Exit, Failure> {
        let view = self.execution_view(writer, execution).await?;
        self.recall_view(located, &view)
    }

    /// The same of an execution that was looked at already.
    pub(crate) fn recall_view(
        &self,
        located: &Located,
        view: &ExecutionView,
    ) -> Result<Exit, Failure> {
        let ended =
            [ExecutionStatus::Completed, ExecutionStatus::Failed, ExecutionStatus::Cancelled]
                .into_iter()
                .find(|candidate| candidate.as_str() == view.status)
                .map_or(Ended::Interrupted, Ended::With);
        self.conclude_with(located, view, ended)
    }

    fn show_next(&self, located: &Located, view: &ExecutionView, ended: Ended) {
        let style = self.output.message_style();
        if let Some(error) = first_error_text(view, style) {
            self.output.message(&format!("\n{error}"));
        }
        let next = match ended {
            Ended::Interrupted => {
                let run = self.command_line(located, &format!("run {} --resume", view.pipeline));
                vec![("go on with it", run)]
            }
            Ended::With(ExecutionStatus::Failed) => vec![
                (
                    "what it wrote",
                    self.command_line(located, &format!("logs {} --failed", view.id)),
                ),
                (
                    "run again what did not complete",
                    self.command_line(located, &format!("execution retry {}", view.id)),
                ),
            ],
            Ended::With(ExecutionStatus::Cancelled) => vec![(
                "run what did not complete",
                self.command_line(located, &format!("execution retry {}", view.id)),
            )],
            Ended::With(_) => vec![],
        };
        for (purpose, line) in next {
            self.output.message(&format!("  {}  {line}", style.dim(format!("{purpose}:"))));
        }
    }

    /// A line to type in the working directory that reaches the same project and store.
    pub(crate) fn command_line(&self, located: &Located, words: &str) -> String {
        let Place { project, state_folder, store } = &located.place;
        let line = format!("flexcore {words}");
        if let Some(server) = &self.options.server.server {
            return format!("{line} --server {}", shell_word(server));
        }
        if self.is_remote() {
            return line;
        }
        let here = self.host.current_folder();
        if let StoreAddress::Database(_) = store {
            // Where it was not typed, it comes from the environment or the project, and will again.
            let line = match &self.options.store {
                Some(store) => format!("{line} --store {}", shell_word(&store.to_string())),
                None => line,
            };
            let is_here = self.here().is_ok_and(|here| here.place.project.root == project.root);
            let root = shell_word(&project.root.display().to_string());
            return if is_here { line } else { format!("cd {root} && {line}") };
        }
        if let Ok(here) = self.here()
            && self.options.store.is_none()
            && here.place.state_folder == *state_folder
        {
            return line;
        }
        let path = |path: &Path| {
            let shown = path.strip_prefix(here).unwrap_or(path);
            shell_word(&shown.display().to_string())
        };
        if *state_folder == project.root.join(STATE_FOLDER) || project.root == here {
            format!("{line} --store {}", path(state_folder))
        } else {
            let store = shell_word(&state_folder.display().to_string());
            format!("cd {} && {line} --store {store}", path(&project.root))
        }
    }
}

/// A word as a POSIX shell takes it.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(shell_word("a/b-c.yaml"), "a/b-c.yaml");
        assert_eq!(shell_word("my files"), "'my files'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
