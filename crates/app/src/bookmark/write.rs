//! ResetBookmark, SetBookmark and KeepBookmark.

use async_trait::async_trait;
use flexcore_api::{KeepBookmark, ResetBookmark, SetBookmark, Written};
use flexcore_domain::{DataStream, JsonText, data_stream::DataStreamCommand};
use flexcore_singer::State;

use crate::{HandleCommand, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleCommand<ResetBookmark> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: ResetBookmark,
    ) -> Result<Written, UseCaseError> {
        let stream = self.bookmark_stream(context, &command.bookmark).await?;
        let remaining = match &command.stream {
            None => None,
            Some(singer_stream) => {
                let loaded = self.load::<DataStream>(&stream).await?;
                let bookmark = loaded.state.and_then(|data_stream| data_stream.bookmark);
                let mut state = match &bookmark {
                    None => State::default(),
                    Some(bookmark) => parse(bookmark.state.as_str())?,
                };
                if !state.reset_stream(singer_stream) {
                    return Err(UseCaseError::NotFound {
                        what: "bookmark of a stream",
                        name: singer_stream.clone(),
                        hint: Some("`flexcore bookmark show` lists its streams".to_owned()),
                    });
                }
                Some(JsonText(state.to_string()))
            }
        };
        let reset = DataStreamCommand::Reset { remaining };
        Ok(Written { position: self.change::<DataStream>(context, &stream, &reset).await? })
    }
}

#[async_trait]
impl HandleCommand<SetBookmark> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: SetBookmark,
    ) -> Result<Written, UseCaseError> {
        let stream = self.bookmark_stream(context, &command.bookmark).await?;
        let state = parse(command.state.get())?;
        let set = DataStreamCommand::Set { state: JsonText(state.to_string()) };
        Ok(Written { position: self.change::<DataStream>(context, &stream, &set).await? })
    }
}

#[async_trait]
impl HandleCommand<KeepBookmark> for Services {
    async fn handle(
        &self,
        context: &RequestContext,
        command: KeepBookmark,
    ) -> Result<Written, UseCaseError> {
        let stream = self.bookmark_stream(context, &command.bookmark).await?;
        let keep = DataStreamCommand::Keep;
        Ok(Written { position: self.change::<DataStream>(context, &stream, &keep).await? })
    }
}

fn parse(text: &str) -> Result<State, UseCaseError> {
    State::parse(text).map_err(|error| UseCaseError::invalid(error.to_string()))
}
