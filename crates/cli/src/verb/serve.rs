//! `flexcore serve`

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::config::SettingArguments;
use crate::{
    Exit, ServeAddress, ServeRequest, failure::Failure, interrupt::Interrupts, session::Session,
};

/// Arguments of `serve`. Every setting can be in the file or the environment as well; `flexcore
/// config show` lists them.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(super) settings: SettingArguments,
}

impl ServeArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        let output = std::sync::Arc::clone(&session.output);
        let request = ServeRequest {
            flags: self.settings.flags(),
            ready: Box::new(move |ServeAddress { address, is_encrypted, token_file }| {
                let scheme = if is_encrypted { "https" } else { "http" };
                output.note(&format!(
                    "listening on {scheme}://{address}; the token is in {}",
                    token_file.display()
                ));
            }),
        };
        let stop = CancellationToken::new();
        let mut interrupts = Interrupts::listen()?;
        let serving = session.host.serve(&place, request, stop.clone());
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return Ok(ended.map(|()| Exit::Completed)?),
            () = interrupts.next() => {}
        }
        session.output.note("ending: what is under way may finish; again to end at once");
        stop.cancel();
        tokio::select! {
            ended = &mut serving => Ok(ended.map(|()| Exit::Completed)?),
            () = interrupts.next() => Ok(Exit::Cancelled),
        }
    }
}
