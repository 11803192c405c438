//! `flexcore events read|tail|stats|replay|verify|checkpoint|keygen|export|import`

mod checkpoint;
mod copy;
mod replay;
mod tail;
mod verify;

use clap::Subcommand;
use flexcore_api::{EventPage, GetLogStatistics, ReadEvents};

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{event_page_text, statistics_text},
};

/// Verbs of the event log.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsVerb {
    /// Read events in the order of the log
    Read(ReadEvents),
    /// Show the last events and follow the log, a line each, until Ctrl-C
    Tail(tail::TailArguments),
    /// Count what is in the log
    Stats(GetLogStatistics),
    /// Fold events again: show an aggregate as it is or was, or build the views anew
    Replay(replay::ReplayArguments),
    /// Prove that the log is whole and unchanged, and that it still has what signed checkpoints say
    Verify(verify::VerifyArguments),
    /// Sign where the log ends now
    Checkpoint(checkpoint::CheckpointArguments),
    /// Make a pair of keys for checkpoints
    Keygen(checkpoint::KeygenArguments),
    /// Copy the log into a file, or into another store
    Export(copy::ExportArguments),
    /// Copy a log out of a file or another store into this one, which is empty or an older copy
    Import(copy::ImportArguments),
}

impl EventsVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::Read(query) => {
                let page = match session.source_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => EventPage { items: vec![], next: None },
                };
                session.output.result(&page, event_page_text)?;
            }
            Self::Tail(arguments) => {
                let reader = session.source(&place).await?;
                arguments.follow(session, &reader).await?;
            }
            Self::Stats(query) => {
                let reader = session.source(&place).await?;
                let reply = session.ask(&reader, query).await?;
                session.output.result(&reply, statistics_text)?;
            }
            Self::Replay(arguments) => arguments.execute(session, &place).await?,
            Self::Verify(arguments) => return arguments.execute(session, &place).await,
            Self::Checkpoint(arguments) => arguments.execute(session, &place).await?,
            Self::Keygen(arguments) => arguments.execute(session)?,
            Self::Export(arguments) => arguments.execute(session, &place).await?,
            Self::Import(arguments) => arguments.execute(session, &place).await?,
        }
        Ok(Exit::Completed)
    }
}
