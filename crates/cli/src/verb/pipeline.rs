//! `flexcore pipeline list|show|versions|activate|deactivate|archive`

use clap::Subcommand;
use flexcore_api::{
    ActivatePipeline, ArchivePipeline, DeactivatePipeline, GetPipeline, ListPipelineVersions,
    ListPipelines, PipelinePage,
};

use crate::{
    Exit,
    failure::Failure,
    session::Session,
    text::{pipeline_page_text, pipeline_status_text, pipeline_text, pipeline_versions_text},
};

/// Verbs of pipelines.
#[derive(Debug, Subcommand)]
pub(crate) enum PipelineVerb {
    /// List the pipelines that were run or applied, by name
    List(ListPipelines),
    /// Show a pipeline and its steps
    Show(GetPipeline),
    /// List the versions of a pipeline's definition, the newest first
    Versions(ListPipelineVersions),
    /// Make a pipeline active
    Activate(ActivatePipeline),
    /// Keep a pipeline from beginning executions; those that run go on to their ends
    Deactivate(DeactivatePipeline),
    /// End a pipeline for good: it can be read by its id, and its name is free for another one
    Archive(ArchivePipeline),
}

impl PipelineVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::List(query) => {
                let page = match session.source_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => PipelinePage { items: vec![], next: None },
                };
                session.output.result(&page, pipeline_page_text)?;
            }
            Self::Show(query) => {
                let reader = session.source(&place).await?;
                let view = session.ask(&reader, query).await?;
                session.output.result(&view, pipeline_text)?;
            }
            Self::Versions(query) => {
                let reader = session.source(&place).await?;
                let page = session.ask(&reader, query).await?;
                session.output.result(&page, pipeline_versions_text)?;
            }
            Self::Activate(command) => {
                let reply = session.command(&place, command, "activating a pipeline").await?;
                session.output.result(&reply, pipeline_status_text)?;
            }
            Self::Deactivate(command) => {
                let reply = session.command(&place, command, "deactivating a pipeline").await?;
                session.output.result(&reply, pipeline_status_text)?;
            }
            Self::Archive(command) => {
                let reply = session.command(&place, command, "archiving a pipeline").await?;
                session.output.result(&reply, pipeline_status_text)?;
            }
        }
        Ok(Exit::Completed)
    }
}
