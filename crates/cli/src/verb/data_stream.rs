//! `flexcore data-stream list|show`

use clap::Subcommand;
use flexcore_api::{DataStreamPage, GetDataStream, ListDataStreams};

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{data_stream_page_text, data_stream_text},
};

/// Verbs of data streams.
#[derive(Debug, Subcommand)]
pub(crate) enum DataStreamVerb {
    /// List data streams, by pipeline
    List(ListDataStreams),
    /// Show what a sync remembers and what it came to
    Show(GetDataStream),
}

impl DataStreamVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::List(query) => {
                let page = match session.source_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => DataStreamPage { items: vec![], next: None },
                };
                session.output.result(&page, data_stream_page_text)?;
            }
            Self::Show(query) => {
                let reader = session.source(&place).await?;
                let view = session.ask(&reader, query).await?;
                session.output.result(&view, data_stream_text)?;
            }
        }
        Ok(Exit::Completed)
    }
}
