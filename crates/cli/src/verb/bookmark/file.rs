//! `flexcore bookmark export|import`: Singer state files, as any Singer runner reads and writes
//! them.

use std::fs;

use clap::Args;
use flexcore_singer::{Json, Object, State};

use super::{change, find, only_stream, state_of};
use crate::{
    address::FullAddress,
    failure::{Code, Failure},
    place::Located,
    session::Session,
};

/// Arguments of `bookmark export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The bookmark; with a stream only that one
    #[arg(value_name = "PIPELINE/STEP[@ITEM][/STREAM]")]
    bookmark: FullAddress,
    /// The file; `-` is standard output
    #[arg(default_value = "-")]
    file: String,
}

/// Arguments of `bookmark import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The bookmark; with a stream only that one changes
    #[arg(value_name = "PIPELINE/STEP[@ITEM][/STREAM]")]
    bookmark: FullAddress,
    /// The file: a Singer state, a STATE message, or what `meltano state get` prints; `-` is
    /// standard input
    file: String,
}

impl ExportArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        located: &Located,
    ) -> Result<(), Failure> {
        let (_, view) = find(session, located, &self.bookmark).await?;
        let state = state_of(&view)?;
        let state = match &self.bookmark.sync.stream {
            None => state,
            Some(stream) => only_stream(&state, stream, &self.bookmark)?,
        };
        let text = format!("{state}\n");
        if self.file == "-" {
            return session.output.raw(text.as_bytes());
        }
        let path = session.host.current_folder().join(&self.file);
        fs::write(&path, text).map_err(|error| {
            Failure::new(Code::File, format!("cannot write {}: {error}", path.display()))
        })
    }
}

impl ImportArguments {
    pub(super) async fn execute(
        self,
        session: &Session<'_>,
        located: &Located,
    ) -> Result<(), Failure> {
        let text = if self.file == "-" {
            session.output.read_input().map_err(|error| change::unreadable_input(&error))?
        } else {
            let path = session.host.current_folder().join(&self.file);
            fs::read_to_string(&path).map_err(|error| {
                Failure::new(Code::File, format!("cannot read {}: {error}", path.display()))
            })?
        };
        let mut text = unwrapped(&text)?;
        if let Some(stream) = &self.bookmark.sync.stream {
            let state = only_stream(&super::parse(&text)?, stream, &self.bookmark)?;
            text = state.stream(stream).map(Json::to_string).unwrap_or_default();
        }
        change::set(session, located, &self.bookmark, &text).await
    }
}

/// The state itself, whatever it is wrapped in.
fn unwrapped(text: &str) -> Result<String, Failure> {
    let members = Json::parse_object(text.trim())
        .map_err(|error| Failure::new(Code::State, format!("this is no Singer state: {error}")))?;
    let inner = state_message(&members).or_else(|| meltano(&members));
    let state = match inner {
        Some(state) => state.to_string(),
        None => Json::Object(members).to_string(),
    };
    State::parse(&state).map_err(|error| Failure::new(Code::State, error.to_string()))?;
    Ok(state)
}

/// `{"type": "STATE", "value": …}`: a line of a target's output.
fn state_message(members: &Object) -> Option<&Json> {
    let kind = members.get("type")?.as_str()?;
    if kind.eq_ignore_ascii_case("state") { members.get("value") } else { None }
}

/// `{"singer_state": …}`, perhaps with other members beside it.
fn meltano(members: &Object) -> Option<&Json> {
    members.get("singer_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_in_what_other_tools_write() {
        let state = r#"{"bookmarks":{"a":{"id":1.50}}}"#;
        let wrapped = [
            state.to_owned(),
            format!("  {state}\n"),
            format!(r#"{{"type": "STATE", "value": {state}}}"#),
            format!(r#"{{"singer_state": {state}}}"#),
        ];
        for text in wrapped {
            assert_eq!(unwrapped(&text).unwrap(), state, "{text}");
        }
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in ["", "[]", "{", r#"{"type":"STATE","value":7}"#, r#"{"singer_state":null}"#] {
            let failure = unwrapped(text).unwrap_err();
            assert_eq!(failure.exit(), crate::Exit::Refused, "{text}");
        }
    }

    #[test]
    fn a_state_may_have_a_member_named_type() {
        let state = r#"{"type":"custom","bookmarks":{"a":1}}"#;
        assert_eq!(unwrapped(state).unwrap(), state);
    }
}
