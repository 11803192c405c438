//! `flexcore logs`

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use flexcore_api::{ExecutionView, GetExecution, GetExecutionLogs};
use flexcore_app::format_time;
use flexcore_client::Client;
use flexcore_domain::{ExecutionId, StepId};
use flexcore_ports::{LogLine, Logs, StorageError};

use super::run::parse_id;
use crate::{
    Exit,
    failure::{Code, Failure},
    report::{LogLineReport, LogReport, StepErrorReport},
    server::Source,
    session::Session,
    text::{error_report_text, log_heading, log_line_text},
};

/// How long to wait before looking for new lines again.
const POLL: Duration = Duration::from_millis(200);

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    /// The execution: its id, a unique prefix of it, or `last`
    #[arg(default_value = "last")]
    execution: String,
    /// Follow until the execution ends
    #[arg(short, long)]
    follow: bool,
    /// Only this step
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Only steps that failed, the first error first
    #[arg(long, conflicts_with = "follow")]
    failed: bool,
}

/// The most lines that one answer of a server has.
const PAGE: usize = 1_000;

/// How far logs were read.
#[derive(Debug, Default)]
struct Progress {
    /// Each attempt of a store.
    offsets: BTreeMap<(StepId, u32), u64>,
    /// What a server gave for what follows.
    cursor: Option<String>,
}

impl LogsArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let source = session.source(&session.here()?.place).await?;
        let query = GetExecution { execution: self.execution.clone() };
        let view = session.ask(&source, query).await?;
        let execution = execution_of(&view)?;
        if let Some(step) = &self.step
            && !view.steps.iter().any(|known| known.id == *step)
        {
            let known: Vec<_> = view.steps.iter().map(|step| format!("`{}`", step.id)).collect();
            let message = format!("{execution} has no step `{step}`");
            return Err(
                Failure::new(Code::Step, message).hint(format!("it has {}", known.join(", ")))
            );
        }
        if self.follow {
            self.follow(session, &source, execution).await?;
        } else {
            self.show(session, &source, &view).await?;
        }
        Ok(Exit::Completed)
    }

    /// Everything there is, attempt by attempt.
    async fn show(
        &self,
        session: &Session<'_>,
        source: &Source,
        view: &ExecutionView,
    ) -> Result<(), Failure> {
        let errors = errors_in_time(view);
        let execution = execution_of(view)?;
        let mut read = Progress::default();
        let mut lines = self.new_lines(source, execution, &mut read).await?;
        if self.failed {
            lines.retain(|line| errors.iter().any(|error| error.step == line.step));
            let place = |step: &str| errors.iter().position(|error| error.step == step);
            lines.sort_by_key(|line| (place(&line.step), line.attempt));
        }
        let report = LogReport {
            execution: view.id.clone(),
            status: view.status.clone(),
            errors: if self.failed { errors } else { vec![] },
            lines,
        };
        session.output.result(&report, |report, style| {
            let width = width(&report.lines);
            let mut text: String =
                report.errors.iter().map(|error| error_report_text(error, style)).collect();
            let mut before = None;
            for line in &report.lines {
                let attempt = Some((&line.step, line.attempt));
                if before != attempt {
                    text.push_str(&log_heading(&line.step, line.attempt, style));
                    before = attempt;
                }
                text.push_str(&log_line_text(line, width, style));
            }
            text
        })?;
        if report.lines.is_empty() && !session.output.is_json() {
            session.output.note("nothing was logged");
        }
        Ok(())
    }

    /// New lines as they come, until the execution ends.
    async fn follow(
        &self,
        session: &Session<'_>,
        source: &Source,
        execution: ExecutionId,
    ) -> Result<(), Failure> {
        let mut read = Progress::default();
        loop {
            let query = GetExecution { execution: execution.to_string() };
            let view = session.ask(source, query).await?;
            // Asked before the lines are read: what was written before the end is not missed.
            let ended = view.ended_at.is_some();
            let width = view.steps.iter().map(|step| step.id.len()).max().unwrap_or_default();
            for line in self.new_lines(source, execution, &mut read).await? {
                session.output.item(&line, |line, style| log_line_text(line, width, style))?;
            }
            if ended || session.output.is_closed() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn new_lines(
        &self,
        source: &Source,
        execution: ExecutionId,
        read: &mut Progress,
    ) -> Result<Vec<LogLineReport>, Failure> {
        match source {
            Source::Store(reader) => {
                let logs = &*reader.services.ports().logs;
                self.lines_here(logs, execution, &mut read.offsets).await
            }
            Source::Server(server) => self.lines_of(server, execution, &mut read.cursor).await,
        }
    }

    async fn lines_of(
        &self,
        server: &Client,
        execution: ExecutionId,
        cursor: &mut Option<String>,
    ) -> Result<Vec<LogLineReport>, Failure> {
        let mut new = Vec::new();
        loop {
            let query = GetExecutionLogs {
                execution: execution.to_string(),
                step: self.step.clone(),
                attempt: None,
                limit: PAGE,
                after: cursor.clone(),
            };
            let page = server.query(&query).await?;
            new.extend(page.items.into_iter().map(|line| LogLineReport {
                time: line.time,
                step: line.step,
                attempt: line.attempt,
                source: line.source,
                line: line.line,
            }));
            *cursor = Some(page.next);
            if !page.more {
                return Ok(new);
            }
        }
    }

    async fn lines_here(
        &self,
        logs: &dyn Logs,
        execution: ExecutionId,
        offsets: &mut BTreeMap<(StepId, u32), u64>,
    ) -> Result<Vec<LogLineReport>, Failure> {
        let attempts = logs.attempts(execution).await.map_err(|error| unreadable(&error))?;
        let wanted = |step: &StepId| self.step.as_deref().is_none_or(|only| step.as_str() == only);
        let mut new = Vec::new();
        for (step, attempt) in attempts.into_iter().filter(|(step, _)| wanted(step)) {
            let offset = offsets.entry((step.clone(), attempt)).or_default();
            loop {
                let (lines, next) = logs
                    .read(execution, &step, attempt, *offset)
                    .await
                    .map_err(|error| unreadable(&error))?;
                if lines.is_empty() {
                    break;
                }
                *offset = next;
                new.extend(lines.into_iter().map(|line| report(&step, attempt, line)));
            }
        }
        Ok(new)
    }
}

fn execution_of(view: &ExecutionView) -> Result<ExecutionId, Failure> {
    parse_id(&view.id)
}

fn report(step: &StepId, attempt: u32, line: LogLine) -> LogLineReport {
    LogLineReport {
        time: format_time(line.time),
        step: step.to_string(),
        attempt,
        source: line.source,
        line: line.line,
    }
}

fn unreadable(error: &StorageError) -> Failure {
    Failure::new(Code::File, error.to_string())
}

fn width(lines: &[LogLineReport]) -> usize {
    lines.iter().map(|line| line.step.len()).max().unwrap_or_default()
}

/// The steps that failed for good, in the order in which they did.
fn errors_in_time(view: &ExecutionView) -> Vec<StepErrorReport> {
    let when = |id: &str| {
        let failures = view.timeline.iter().filter(|entry| entry.event == "StepFailed");
        failures.filter(|entry| entry.step.as_deref() == Some(id)).map(|entry| entry.position).max()
    };
    let mut errors: Vec<StepErrorReport> = view
        .steps
        .iter()
        .filter_map(|step| {
            Some(StepErrorReport { step: step.id.clone(), error: step.error.clone()? })
        })
        .collect();
    errors.sort_by_key(|error| when(&error.step));
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::execution_tests::failed;

    #[test]
    fn errors_come_in_the_order_in_which_they_happened() {
        let steps: Vec<_> = errors_in_time(&failed()).into_iter().map(|error| error.step).collect();
        assert_eq!(steps, ["to_sqlite", "slow"]);
    }
}
