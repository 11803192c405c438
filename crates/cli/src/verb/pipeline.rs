//! `flexcore pipeline list|show`

use clap::Subcommand;
use flexcore_api::{GetPipeline, ListPipelines, PipelinePage};

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{pipeline_page_text, pipeline_text},
};

/// Verbs of pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum PipelineVerb {
    /// List the pipelines that were run, by name
    List(ListPipelines),
    /// Show a pipeline and its steps
    Show(GetPipeline),
}

impl PipelineVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::List(query) => {
                let page = match session.read_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => PipelinePage { items: vec![], next: None },
                };
                session.output.result(&page, pipeline_page_text)?;
            }
            Self::Show(query) => {
                let reader = session.host.read(&place).await?;
                let view = session.ask(&reader, query).await?;
                session.output.result(&view, pipeline_text)?;
            }
        }
        Ok(Exit::Completed)
    }
}
