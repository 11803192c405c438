//! `flexcore run` where a server has the store: the definition is registered there, executed there,
//! and watched from here.

use flexcore_api::{
    CreatePipeline, ExecutePipeline, ExecutionView, GetPipeline, ListExecutions, PipelineSaved,
    UpdatePipeline,
};
use flexcore_client::Client;
use flexcore_pipeline_file::find_pipeline;

use super::RunArguments;
use crate::{
    Exit,
    failure::Failure,
    follow::{before, newest},
    place::{Located, LocatedPipeline, is_path},
    session::Session,
};

impl RunArguments {
    /// A pipeline that has a file here, or one that only the server knows.
    pub(super) async fn by_named_server(
        &self,
        session: &Session<'_>,
        server: &Client,
    ) -> Result<Exit, Failure> {
        let here = session.current_folder_has(&self.pipeline);
        let is_known_here = is_path(&self.pipeline) || here || {
            let located = session.here()?;
            find_pipeline(&located.place.project, &self.pipeline).is_ok()
        };
        if is_known_here {
            let pipeline = session.pipeline(&self.pipeline)?;
            return self.by_server(session, server, &pipeline).await;
        }
        let request = ExecutePipeline {
            environment: session.options.environment.clone(),
            ..self.request_for(&self.pipeline)
        };
        self.execute_by(session, server, &session.here()?, request).await
    }

    /// Registers the definition as the file has it now, and runs it.
    pub(super) async fn by_server(
        &self,
        session: &Session<'_>,
        server: &Client,
        pipeline: &LocatedPipeline,
    ) -> Result<Exit, Failure> {
        let definition = &pipeline.pipeline.definition;
        if !self.resume {
            save(server, &definition.name.to_string(), definition.document.clone()).await?;
        }
        self.execute_by(session, server, &pipeline.located, self.request(pipeline)).await
    }

    async fn execute_by(
        &self,
        session: &Session<'_>,
        server: &Client,
        located: &Located,
        request: ExecutePipeline,
    ) -> Result<Exit, Failure> {
        if self.grant {
            session.only_here("run --grant", "what steps may do is granted where they run")?;
        }
        if self.resume
            && let Some(view) = newest_of(session, server, &request.pipeline).await?
        {
            return go_on(session, server, located, view).await;
        }
        // Under a key of its own it can be sent again when an answer was lost.
        let run_key = match request.run_key {
            Some(key) => Some(key),
            None => Some(format!("cli-{}", hex(&session.host.secret_seed()?[..16]))),
        };
        let accepted = server.command(&ExecutePipeline { run_key, ..request }).await?;
        let view = session.view_at(server, &accepted.execution).await?;
        if accepted.repeated && view.ended_at.is_some() && self.run_id.is_some() {
            session.output.note(&format!("{} ran under this key already", view.id));
            return session.recall_view(located, &view);
        }
        let after = before(&view);
        let ended = session.follow(server, &view, after).await?;
        let view = session.view_at(server, &view.id).await?;
        session.conclude_with(located, &view, ended)
    }
}

/// What `--resume` means to a server, which goes on by itself with what was interrupted: to watch
/// it, or to say how it ended.
async fn go_on(
    session: &Session<'_>,
    server: &Client,
    located: &Located,
    view: ExecutionView,
) -> Result<Exit, Failure> {
    match view.status.as_str() {
        "completed" => {
            session.output.note(&format!("{} completed already; nothing to resume", view.id));
            session.recall_view(located, &view)
        }
        "failed" | "cancelled" => {
            session.output.note(&format!("{} ended already: {}", view.id, view.status));
            session.recall_view(located, &view)
        }
        _ => {
            let ended = session.follow(server, &view, newest(&view)).await?;
            let view = session.view_at(server, &view.id).await?;
            session.conclude_with(located, &view, ended)
        }
    }
}

async fn newest_of(
    session: &Session<'_>,
    server: &Client,
    pipeline: &str,
) -> Result<Option<ExecutionView>, Failure> {
    let query = ListExecutions {
        pipeline: Some(pipeline.to_owned()),
        limit: 1,
        ..ListExecutions::default()
    };
    match server.query(&query).await?.items.into_iter().next() {
        Some(newest) => session.view_at(server, &newest.id).await.map(Some),
        None => Ok(None),
    }
}

/// Creates a pipeline, or gives the one of that name a new version if the definition differs.
async fn save(
    server: &Client,
    name: &str,
    document: serde_json::Value,
) -> Result<PipelineSaved, Failure> {
    let query = GetPipeline { name: name.to_owned(), version: None };
    match server.query(&query).await.map_err(Failure::from) {
        Ok(_) => {
            let name = name.to_owned();
            Ok(server.command(&UpdatePipeline { name, document, expected_version: None }).await?)
        }
        Err(failure) if failure.is_not_found() => {
            Ok(server.command(&CreatePipeline { document, idempotency_key: None }).await?)
        }
        Err(failure) => Err(failure),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
