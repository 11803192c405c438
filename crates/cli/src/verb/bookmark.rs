//! `flexcore bookmark show|diff|set|reset|keep|export|import`

mod change;
mod file;

use clap::{Args, Subcommand};
use flexcore_api::{BookmarkAddress, BookmarkView, GetBookmark, ListBookmarks};
use flexcore_pipeline_file::{ResolvedPipeline, find_pipeline, resolve};
use flexcore_singer::{Change, State, StateDifference};
use serde_json::value::RawValue;

use super::catalog::sync_step;
use crate::{
    Exit,
    address::{Address, FullAddress},
    failure::{Code, Failure},
    place::Located,
    report::{ChangeReport, DifferenceReport},
    server::Source,
    session::Session,
    text::{bookmark_list_text, bookmark_text, difference_text},
};

/// Verbs of bookmarks.
#[derive(Debug, Subcommand)]
pub(crate) enum BookmarkVerb {
    /// Show the bookmarks of a pipeline, one of them, or what it says about one stream
    Show(ShowArguments),
    /// Show what the last change of a bookmark changed
    Diff(DiffArguments),
    /// Put another bookmark in place, or another one of a stream
    Set(change::SetArguments),
    /// Forget a bookmark, or that of one stream: the next sync starts over
    Reset(change::ResetArguments),
    /// Keep a bookmark although its tap or target changed
    Keep(change::KeepArguments),
    /// Write a bookmark as a Singer state file
    Export(file::ExportArguments),
    /// Put the bookmark of a Singer state file in place
    Import(file::ImportArguments),
}

/// Arguments of `bookmark show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The bookmark; all of the pipeline's if only that is named
    #[arg(value_name = "PIPELINE[/STEP[@ITEM][/STREAM]]")]
    bookmark: Address,
}

/// Arguments of `bookmark diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The bookmark
    #[arg(value_name = "PIPELINE/STEP[@ITEM][/STREAM]")]
    bookmark: FullAddress,
}

impl BookmarkVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let located = session.here()?;
        match self {
            Self::Show(arguments) => arguments.execute(session, &located).await?,
            Self::Diff(arguments) => arguments.execute(session, &located).await?,
            Self::Set(arguments) => arguments.execute(session, &located).await?,
            Self::Reset(arguments) => arguments.execute(session, &located).await?,
            Self::Keep(arguments) => arguments.execute(session, &located).await?,
            Self::Export(arguments) => arguments.execute(session, &located).await?,
            Self::Import(arguments) => arguments.execute(session, &located).await?,
        }
        Ok(Exit::Completed)
    }
}

impl ShowArguments {
    async fn execute(self, session: &Session<'_>, located: &Located) -> Result<(), Failure> {
        let Address { pipeline, sync } = self.bookmark;
        let Some(sync) = sync else {
            let reader = session.source(&located.place).await?;
            let query = ListBookmarks { pipeline, environment: located.environment.to_string() };
            let list = session.ask(&reader, query).await?;
            return session.output.result(&list, bookmark_list_text);
        };
        let address = FullAddress { pipeline, sync };
        let (_, mut view) = find(session, located, &address).await?;
        if let Some(stream) = &address.sync.stream {
            let state = only_stream(&state_of(&view)?, stream, &address)?;
            view.state = Some(raw(&state)?);
        }
        session.output.result(&view, bookmark_text)
    }
}

impl DiffArguments {
    async fn execute(self, session: &Session<'_>, located: &Located) -> Result<(), Failure> {
        let (_, view) = find(session, located, &self.bookmark).await?;
        let before = match &view.previous {
            Some(state) => parse(state.get())?,
            None => State::default(),
        };
        let mut differences = before.differences(&state_of(&view)?);
        if let Some(stream) = &self.bookmark.sync.stream {
            differences.retain(|difference| difference.stream.as_ref() == Some(stream));
        }
        let changes = differences.iter().map(change).collect();
        let report = DifferenceReport { bookmark: view, changes };
        session.output.result(&report, |_, style| difference_text(&differences, style))
    }
}

/// A bookmark as it is now. Which one is meant the pipeline's file says, else the store.
async fn find(
    session: &Session<'_>,
    located: &Located,
    address: &FullAddress,
) -> Result<(Source, BookmarkView), Failure> {
    let reader = session.source(&located.place).await?;
    let bookmark = api_address(session, located, Some(&reader), address).await?;
    let view = session.ask(&reader, GetBookmark { bookmark }).await?;
    Ok((reader, view))
}

/// The address as commands take it: a bookmark is named by its sync's `state`, which is the step's
/// id unless the file says otherwise.
async fn api_address(
    session: &Session<'_>,
    located: &Located,
    reader: Option<&Source>,
    address: &FullAddress,
) -> Result<BookmarkAddress, Failure> {
    let resolved = definition(session, located, reader, &address.pipeline).await?;
    let step = sync_step(&resolved, &address.sync.step)?;
    Ok(BookmarkAddress {
        pipeline: address.pipeline.clone(),
        state: step.bookmark_name(),
        environment: located.environment.to_string(),
        item: address.sync.item.clone(),
    })
}

/// The pipeline as its file in this project says, else as the store knows it.
async fn definition(
    session: &Session<'_>,
    located: &Located,
    reader: Option<&Source>,
    pipeline: &str,
) -> Result<ResolvedPipeline, Failure> {
    let of_file = find_pipeline(&located.place.project, pipeline)
        .and_then(|file| session.load(&file, &located.place.project));
    let document = match (of_file, reader) {
        (Ok(loaded), _) => loaded.definition.document,
        (Err(_), Some(reader)) => {
            let query = flexcore_api::GetPipeline { name: pipeline.to_owned(), version: None };
            session.ask(reader, query).await?.document
        }
        (Err(diagnostics), None) => return Err(diagnostics.into()),
    };
    resolve(&document, &located.environment)
        .map_err(|error| Failure::new(Code::Setting, error.to_string()))
}

/// The state of a bookmark; an empty one if there is none.
fn state_of(view: &BookmarkView) -> Result<State, Failure> {
    view.state.as_ref().map_or_else(|| Ok(State::default()), |state| parse(state.get()))
}

/// Only what a state says about a stream.
fn only_stream(state: &State, stream: &str, address: &FullAddress) -> Result<State, Failure> {
    if state.stream(stream).is_some() {
        return Ok(state.only_stream(stream));
    }
    let known: Vec<_> = state.streams().map(|stream| format!("`{stream}`")).collect();
    let message = format!("there is no bookmark {address}");
    Err(Failure::new(Code::State, message).hint(match known.as_slice() {
        [] => "no stream has a bookmark yet".to_owned(),
        known => format!("streams with a bookmark: {}", known.join(", ")),
    }))
}

fn parse(text: &str) -> Result<State, Failure> {
    State::parse(text).map_err(|error| {
        Failure::new(Code::State, error.to_string())
            .hint("a Singer state looks like {\"bookmarks\": {\"orders\": {\"id\": 7}}}")
    })
}

/// The text of a state as it travels in commands and replies.
fn raw(state: &State) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(state.to_string())
        .map_err(|error| Failure::new(Code::State, format!("the state is no JSON: {error}")))
}

fn change(difference: &StateDifference) -> ChangeReport {
    let (word, from, to) = match &difference.change {
        Change::Added(to) => ("added", None, Some(to.to_value())),
        Change::Removed(from) => ("removed", Some(from.to_value()), None),
        Change::Replaced { from, to } => ("replaced", Some(from.to_value()), Some(to.to_value())),
    };
    ChangeReport {
        stream: difference.stream.clone(),
        path: difference.path.clone(),
        change: word,
        from,
        to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_a_bookmark_is_an_error_that_names_the_others() {
        let state = || State::parse(r#"{"bookmarks":{"a":{"id":1},"b":{"id":2}}}"#).unwrap();
        let address: FullAddress = "flights/load/c".parse().unwrap();
        let found = only_stream(&state(), "a", &address).unwrap();
        assert_eq!(found.to_string(), r#"{"bookmarks":{"a":{"id":1}}}"#);
        let Err(Failure::Error { body, exit }) = only_stream(&state(), "c", &address) else {
            panic!("an error")
        };
        assert_eq!(exit, Exit::Refused);
        assert!(body.message.contains("flights/load/c"));
        assert!(body.hint.unwrap().contains("`a`, `b`"));
    }

    #[test]
    fn changes_keep_both_values() {
        let old = State::parse(r#"{"bookmarks":{"a":{"id":1}},"v":1}"#).unwrap();
        let new = State::parse(r#"{"bookmarks":{"a":{"id":2},"b":{}}}"#).unwrap();
        let changes: Vec<_> = old.differences(&new).iter().map(change).collect();
        insta::assert_json_snapshot!(changes, @r#"
        [
          {
            "stream": "a",
            "path": "id",
            "change": "replaced",
            "from": 1,
            "to": 2
          },
          {
            "stream": "b",
            "path": "",
            "change": "added",
            "from": null,
            "to": {}
          },
          {
            "stream": null,
            "path": "v",
            "change": "removed",
            "from": 1,
            "to": null
          }
        ]
        "#);
    }
}
