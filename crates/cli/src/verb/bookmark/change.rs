//! `flexcore bookmark set|reset|keep`

use clap::Args;
use flexcore_api::{
    CreatePipeline, GetBookmark, KeepBookmark, ResetBookmark, SetBookmark, Written,
};
use flexcore_pipeline_file::find_pipeline;
use flexcore_singer::{Json, State};

use super::{api_address, parse, raw, state_of};
use crate::{
    address::FullAddress,
    failure::{Code, Failure},
    place::Located,
    report::BookmarkWritten,
    session::Session,
};

/// Arguments of `bookmark set`.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// The bookmark; with a stream only that one changes
    #[arg(value_name = "PIPELINE/STEP[@ITEM][/STREAM]")]
    bookmark: FullAddress,
    /// The whole Singer state, or with a stream its bookmark; `-` reads standard input
    #[arg(value_name = "JSON")]
    state: String,
}

/// Arguments of `bookmark reset`.
#[derive(Debug, Args)]
pub(crate) struct ResetArguments {
    /// The bookmark; with a stream only that one is forgotten
    #[arg(value_name = "PIPELINE/STEP[@ITEM][/STREAM]")]
    bookmark: FullAddress,
}

/// Arguments of `bookmark keep`.
#[derive(Debug, Args)]
pub(crate) struct KeepArguments {
    /// The bookmark
    #[arg(value_name = "PIPELINE/STEP[@ITEM]")]
    bookmark: FullAddress,
}

impl SetArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        located: &Located,
    ) -> Result<(), Failure> {
        let text = match self.state.as_str() {
            "-" => session.output.read_input().map_err(|error| unreadable_input(&error))?,
            text => text.to_owned(),
        };
        set(session, located, &self.bookmark, &text).await
    }
}

impl ResetArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        located: &Located,
    ) -> Result<(), Failure> {
        let reader = session.source(&located.place).await?;
        let bookmark = api_address(session, located, Some(&reader), &self.bookmark).await?;
        drop(reader);
        let command = ResetBookmark { bookmark, stream: self.bookmark.sync.stream.clone() };
        let written = session.command(&located.place, command, "resetting a bookmark").await?;
        done(session, format!("{} is reset: its next sync starts over", self.bookmark), written)
    }
}

impl KeepArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        located: &Located,
    ) -> Result<(), Failure> {
        if self.bookmark.sync.stream.is_some() {
            return Err(Failure::new(Code::Usage, "a bookmark is kept as a whole, not by stream"));
        }
        let reader = session.source(&located.place).await?;
        let bookmark = api_address(session, located, Some(&reader), &self.bookmark).await?;
        drop(reader);
        let command = KeepBookmark { bookmark };
        let written = session.command(&located.place, command, "keeping a bookmark").await?;
        done(session, format!("{} is kept for the changed tap or target", self.bookmark), written)
    }
}

/// Puts a state in place: the whole one, or the bookmark of the stream that the address names. A
/// pipeline that never ran is registered first, so that a state can be brought along from
/// elsewhere.
pub(super) async fn set(
    session: &Session<'_>,
    located: &Located,
    address: &FullAddress,
    text: &str,
) -> Result<(), Failure> {
    let reader = session.source_if_there(&located.place).await?;
    let bookmark = api_address(session, located, reader.as_ref(), address).await?;
    let state = match &address.sync.stream {
        None => parse(text)?,
        Some(stream) => {
            let json = Json::parse(text).map_err(|error| {
                Failure::new(Code::State, format!("the bookmark of `{stream}` is no JSON: {error}"))
            })?;
            let current = match &reader {
                None => State::default(),
                Some(reader) => {
                    let query = GetBookmark { bookmark: bookmark.clone() };
                    match session.ask(reader, query).await {
                        Ok(view) => state_of(&view)?,
                        Err(failure) if failure.is_not_found() => State::default(),
                        Err(failure) => return Err(failure),
                    }
                }
            };
            with_stream(current, stream, json)
        }
    };
    drop(reader);
    let command = SetBookmark { bookmark, state: raw(&state)? };
    let written = registered(session, located, command).await?;
    done(session, format!("{address} is set"), written)
}

fn with_stream(mut state: State, stream: &str, bookmark: Json) -> State {
    state.set_stream(stream, bookmark);
    state
}

/// Sets a bookmark; if its pipeline is not registered yet, registers it from its file first.
async fn registered(
    session: &Session<'_>,
    located: &Located,
    command: SetBookmark,
) -> Result<Written, Failure> {
    const PURPOSE: &str = "setting a bookmark";
    let place = &located.place;
    match session.command(place, command.clone(), PURPOSE).await {
        Err(failure) if failure.is_not_found() => {
            let file = find_pipeline(&place.project, &command.bookmark.pipeline)?;
            let document = session.load(&file, &place.project)?.definition.document;
            session
                .command(place, CreatePipeline { document, idempotency_key: None }, PURPOSE)
                .await?;
            session.command(place, command, PURPOSE).await
        }
        answer => answer,
    }
}

fn done(session: &Session<'_>, done: String, written: Written) -> Result<(), Failure> {
    let written = BookmarkWritten { done, written };
    session.output.result(&written, |written, _| format!("{}\n", written.done))
}

pub(super) fn unreadable_input(error: &std::io::Error) -> Failure {
    Failure::new(Code::File, format!("cannot read standard input: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_one_stream_leaves_the_others_alone() {
        let state = State::parse(r#"{"bookmarks":{"a":{"id":1},"b":{"id":2}}}"#).unwrap();
        let json = Json::parse(r#"{"id": 9.50}"#).unwrap();
        let changed = with_stream(state, "b", json);
        assert_eq!(changed.to_string(), r#"{"bookmarks":{"a":{"id":1},"b":{"id":9.50}}}"#);
    }
}
