//! `flexcore run`

mod by_server;
mod grant;

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use flexcore_api::{ExecutePipeline, ExecutionRefresh};
use flexcore_app::{RunDecision, RunPolicy, Unfinished, UseCaseError, save_pipeline};
use flexcore_domain::{ExecutionId, ExecutionStatus};

use crate::{
    Exit, Writer,
    drive::{Ended, shell_word},
    failure::{Code, Failure},
    place::LocatedPipeline,
    session::{Opened, Session},
    text::summary_text,
};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// The pipeline's file, or its name in the project of the working directory
    #[arg(value_name = "FILE|NAME")]
    pub(crate) pipeline: String,
    /// A parameter; a secret one as NAME=@secret:SECRET; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) params: Vec<(String, String)>,
    /// Only this step
    #[arg(long, value_name = "STEP", conflicts_with = "from")]
    pub(crate) only: Option<String>,
    /// Only this step and everything that depends on it
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
    /// Only this stream of its syncs; may be repeated
    #[arg(long = "stream", value_name = "NAME")]
    pub(crate) streams: Vec<String>,
    /// Leave bookmarks aside: all, those of a step, or that of one stream; may be repeated
    #[arg(
        long,
        value_name = "STEP[:STREAM]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
    )]
    pub(crate) full_refresh: Vec<String>,
    /// Go on with the pipeline's newest execution if it was interrupted
    #[arg(long, conflicts_with_all = ["on_unfinished", "run_id"])]
    pub(crate) resume: bool,
    /// What to do beside an interrupted execution [default: refuse on a terminal, else resume]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_unfinished: Option<OnUnfinished>,
    /// Run once under this key: the same key again gives the same execution
    #[arg(long, value_name = "KEY")]
    pub(crate) run_id: Option<String>,
    /// Grant the steps what they ask for, and keep that for later runs
    #[arg(long)]
    pub(crate) grant: bool,
}

/// What `run` does beside an interrupted execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnUnfinished {
    /// Say so and do nothing.
    Refuse,
    /// Go on with it.
    Resume,
}

impl RunArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        if let Some(server) = session.server()? {
            return self.by_named_server(session, server).await;
        }
        let pipeline = session.pipeline(&self.pipeline)?;
        let purpose = format!("run of `{}`", pipeline.pipeline.definition.name);
        let place = &pipeline.located.place;
        let writer = match session.write_or_server(place, &purpose).await? {
            Opened::Here(writer) => writer,
            Opened::At(server) => return self.by_server(session, &server, &pipeline).await,
        };
        let exit = self.decide(session, &pipeline, &writer).await;
        session.close(writer).await;
        exit
    }

    async fn decide(
        &self,
        session: &Session<'_>,
        pipeline: &LocatedPipeline,
        writer: &Writer,
    ) -> Result<Exit, Failure> {
        let name = &pipeline.pipeline.definition.name;
        let decision =
            writer.services.decide_run(&session.context, name, self.policy(session)).await?;
        match decision {
            RunDecision::Start => self.start(session, pipeline, writer).await,
            RunDecision::Resume(execution) => {
                self.resume(session, pipeline, writer, execution).await
            }
            RunDecision::Completed(execution) => {
                session.output.note(&format!("{execution} completed already; nothing to resume"));
                session.recall(writer, &pipeline.located, execution).await
            }
            RunDecision::NeedsRetry { execution, status } => {
                session.output.note(&format!("{execution} ended already: {status}"));
                session.recall(writer, &pipeline.located, execution).await
            }
            RunDecision::Refused(unfinished) => {
                self.beside(session, pipeline, writer, unfinished).await
            }
        }
    }

    fn policy(&self, session: &Session<'_>) -> RunPolicy {
        let default = if session.output.is_interactive() {
            OnUnfinished::Refuse
        } else {
            OnUnfinished::Resume
        };
        match (self.resume, self.on_unfinished.unwrap_or(default)) {
            (true, _) => RunPolicy::Resume,
            (false, OnUnfinished::Resume) => RunPolicy::ResumeOrStart,
            (false, OnUnfinished::Refuse) => RunPolicy::Refuse,
        }
    }

    /// A new execution of what the file says now, or the one that was started under the same key.
    async fn start(
        &self,
        session: &Session<'_>,
        pipeline: &LocatedPipeline,
        writer: &Writer,
    ) -> Result<Exit, Failure> {
        let definition = &pipeline.pipeline.definition;
        let context = &session.context;
        save_pipeline(&writer.commands, &writer.services, context, definition).await?;
        let request = self.request(pipeline);
        let place = &pipeline.located.place;
        let accepted = match writer.commands.execute(context, request.clone()).await {
            Err(UseCaseError::NotGranted(missing))
                if grant::offer(session, place, &missing, self.grant)? =>
            {
                writer.commands.execute(context, request).await?
            }
            answer => answer?,
        };
        let execution = parse_id(&accepted.execution)?;
        if accepted.repeated && session.execution_view(writer, execution).await?.ended_at.is_some()
        {
            session.output.note(&format!("{execution} ran under this key already"));
            return session.recall(writer, &pipeline.located, execution).await;
        }
        let ended = session.drive(writer, execution).await?;
        session.conclude(writer, &pipeline.located, execution, ended).await
    }

    /// Goes on with an interrupted execution. One of another `--run-id` is brought to its end
    /// first, then this one starts.
    async fn resume(
        &self,
        session: &Session<'_>,
        pipeline: &LocatedPipeline,
        writer: &Writer,
        execution: ExecutionId,
    ) -> Result<Exit, Failure> {
        session.wait_for_lease(writer, execution).await?;
        let view = session.execution_view(writer, execution).await?;
        session.output.note(&format!("going on with {execution}, which was interrupted"));
        self.note_unused_options(session);
        let ended = session.drive(writer, execution).await?;
        let is_other = self.run_id.is_some() && self.run_id != view.run_key;
        if is_other
            && !matches!(ended, Ended::Interrupted | Ended::With(ExecutionStatus::Cancelled))
        {
            let view = session.execution_view(writer, execution).await?;
            session.output.note(&summary_text(&view, session.output.message_style()));
            return self.start(session, pipeline, writer).await;
        }
        session.conclude(writer, &pipeline.located, execution, ended).await
    }

    /// An interrupted execution is there and nobody said what becomes of it. One that was started
    /// under the same key is what is asked for.
    async fn beside(
        &self,
        session: &Session<'_>,
        pipeline: &LocatedPipeline,
        writer: &Writer,
        unfinished: Unfinished,
    ) -> Result<Exit, Failure> {
        let Unfinished { execution, status } = unfinished;
        let view = session.execution_view(writer, execution).await?;
        if self.run_id.is_some() && self.run_id == view.run_key {
            return self.resume(session, pipeline, writer, execution).await;
        }
        let cancel = format!("execution cancel {execution}");
        let cancel = session.command_line(&pipeline.located, &cancel);
        let file = shell_word(&self.pipeline);
        let message = format!(
            "{execution} of `{}` was interrupted ({status}); nothing was started beside it",
            view.pipeline
        );
        Err(Failure::new(Code::Interrupted, message).hint(format!(
            "go on with it:  flexcore run {file} --resume\nor give it up:  {cancel}"
        )))
    }

    /// What the execution was started with counts to its end.
    fn note_unused_options(&self, session: &Session<'_>) {
        let chosen = !self.params.is_empty()
            || self.only.is_some()
            || self.from.is_some()
            || !self.streams.is_empty()
            || !self.full_refresh.is_empty();
        if chosen && self.run_id.is_none() {
            session.output.warning(
                "it goes on with the parameters, steps and streams that it was started with; \
                 those given now have no effect",
            );
        }
    }

    fn request(&self, pipeline: &LocatedPipeline) -> ExecutePipeline {
        ExecutePipeline {
            environment: Some(pipeline.located.environment.to_string()),
            ..self.request_for(pipeline.pipeline.definition.name.as_str())
        }
    }

    fn request_for(&self, pipeline: &str) -> ExecutePipeline {
        ExecutePipeline {
            pipeline: pipeline.to_owned(),
            environment: None,
            params: self.params.iter().cloned().collect::<BTreeMap<_, _>>(),
            only: self.only.clone(),
            from: self.from.clone(),
            streams: self.streams.clone(),
            full_refresh: refresh(&self.full_refresh),
            run_key: self.run_id.clone(),
        }
    }
}

/// `--full-refresh` without a value means every bookmark.
fn refresh(parts: &[String]) -> Option<ExecutionRefresh> {
    match parts {
        [] => None,
        parts if parts.iter().any(String::is_empty) => Some(ExecutionRefresh::All),
        parts => Some(ExecutionRefresh::Steps(parts.to_vec())),
    }
}

pub(super) fn parse_id(text: &str) -> Result<ExecutionId, Failure> {
    text.parse().map_err(|error| {
        Failure::new(Code::Reply, format!("the store answered with a wrong id: {error}"))
    })
}

/// `NAME=VALUE`; the value may contain `=` and may be empty.
pub(super) fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_split_at_its_first_equals_sign() {
        assert_eq!(parameter("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(parameter("a=").unwrap(), ("a".to_owned(), String::new()));
        assert!(parameter("a").is_err() && parameter("=b").is_err());
    }

    #[test]
    fn a_full_refresh_is_of_everything_or_of_what_is_named() {
        let parts = |parts: &[&str]| parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        assert_eq!(refresh(&[]), None);
        assert_eq!(refresh(&parts(&["load", ""])), Some(ExecutionRefresh::All));
        let named = parts(&["load", "other:stream"]);
        assert_eq!(refresh(&named), Some(ExecutionRefresh::Steps(named.clone())));
    }
}
