//! `flexcore execution list|show|cancel|retry`

use clap::Subcommand;
use flexcore_api::{
    CancelExecution, ExecutionPage, GetExecution, ListExecutions, RetryExecution, Written,
};
use flexcore_client::Client;
use flexcore_domain::{ExecutionId, ExecutionStatus};

use super::run::parse_id;
use crate::{
    Exit, Writer,
    drive::Ended,
    failure::Failure,
    follow::newest,
    place::Located,
    session::{Opened, Session},
    text::{Style, execution_page_text, execution_text},
};

/// Verbs of executions.
#[derive(Debug, Subcommand)]
pub(crate) enum ExecutionVerb {
    /// List executions, newest first
    List(ListExecutions),
    /// Show an execution, its steps and everything that happened
    Show(GetExecution),
    /// Ask for the end of an execution
    Cancel(CancelExecution),
    /// Run again what did not complete in an execution that failed or was cancelled
    Retry(RetryExecution),
}

impl ExecutionVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let located = session.here()?;
        match self {
            Self::List(query) => {
                let page = match session.source_if_there(&located.place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => ExecutionPage { items: vec![], next: None },
                };
                session.output.result(&page, execution_page_text)?;
                Ok(Exit::Completed)
            }
            Self::Show(query) => {
                let reader = session.source(&located.place).await?;
                let view = session.ask(&reader, query).await?;
                session.output.result(&view, execution_text)?;
                Ok(Exit::Completed)
            }
            Self::Cancel(command) => cancel(session, &located, command).await,
            Self::Retry(command) => retry(session, &located, command).await,
        }
    }
}

/// A live writer ends the execution itself, be it of this folder or of another. Without one the wish alone would end nothing: the
/// execution is driven to its end here, which is quick, because nothing is started any more.
async fn cancel(
    session: &Session<'_>,
    located: &Located,
    command: CancelExecution,
) -> Result<Exit, Failure> {
    if let Some(server) = session.server()? {
        let execution = session.view_at(server, &command.execution).await?.id;
        let command = CancelExecution { execution: execution.clone(), ..command };
        let written = server.command(&command).await?;
        let text = format!("cancellation requested; {} drives {execution}\n", server.server());
        session.output.result(&written, |_: &Written, _| text)?;
        return Ok(Exit::Completed);
    }
    if let Some(written) = session.send(&located.place, &command).await? {
        session.output.result(&written, |_: &Written, _| "cancellation requested\n".to_owned())?;
        return Ok(Exit::Completed);
    }
    // A store that is not there has nothing to cancel, and none is made.
    drop(session.source(&located.place).await?);
    let writer = session.host.write(&located.place, "cancelling an execution").await?;
    let exit = async {
        let execution = resolve(session, &writer, &command.execution).await?;
        let command = CancelExecution { execution: execution.to_string(), ..command };
        // Asked first: once it is recorded, the owner may end the execution at any moment.
        let owner = writer.services.live_owner(execution).await?;
        let written = writer.commands.execute(&session.context, command).await?;
        if let Some(holder) = owner {
            let text = format!("cancellation requested; {} drives {execution}\n", holder.node);
            session.output.result(&written, |_: &Written, _| text)?;
            return Ok(Exit::Completed);
        }
        match session.drive(&writer, execution).await? {
            Ended::With(ExecutionStatus::Cancelled) => {
                let text = |_: &Written, _: Style| format!("{execution} cancelled\n");
                session.output.result(&written, text)?;
                Ok(Exit::Completed)
            }
            ended => session.conclude(&writer, located, execution, ended).await,
        }
    };
    let exit = exit.await;
    session.close(writer).await;
    exit
}

async fn retry(
    session: &Session<'_>,
    located: &Located,
    command: RetryExecution,
) -> Result<Exit, Failure> {
    if let Some(server) = session.server()? {
        return retry_by(session, server, located, command).await;
    }
    // A store that is not there has nothing to retry, and none is made.
    drop(session.source(&located.place).await?);
    let writer = match session.write_or_server(&located.place, "retrying an execution").await? {
        Opened::Here(writer) => writer,
        Opened::At(server) => return retry_by(session, &server, located, command).await,
    };
    let exit = async {
        let execution = resolve(session, &writer, &command.execution).await?;
        let command = RetryExecution { execution: execution.to_string() };
        writer.commands.execute(&session.context, command).await?;
        let ended = session.drive(&writer, execution).await?;
        session.conclude(&writer, located, execution, ended).await
    };
    let exit = exit.await;
    session.close(writer).await;
    exit
}

/// A server retries by itself; it is watched from here.
async fn retry_by(
    session: &Session<'_>,
    server: &Client,
    located: &Located,
    command: RetryExecution,
) -> Result<Exit, Failure> {
    let view = session.view_at(server, &command.execution).await?;
    server.command(&RetryExecution { execution: view.id.clone() }).await?;
    let ended = session.follow(server, &view, newest(&view)).await?;
    let view = session.view_at(server, &view.id).await?;
    session.conclude_with(located, &view, ended)
}

/// The execution that a text names: an id, a unique prefix or `last`. What follows must mean the
/// same one.
async fn resolve(
    session: &Session<'_>,
    writer: &Writer,
    text: &str,
) -> Result<ExecutionId, Failure> {
    let query = GetExecution { execution: text.to_owned() };
    parse_id(&writer.queries.ask(&session.context, query).await?.id)
}
