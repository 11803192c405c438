//! `flexcore events replay`

use clap::Args;
use flexcore_api::{GetAggregate, RebuildViews};

use crate::{
    Place,
    failure::Failure,
    session::Session,
    text::{aggregate_text, views_rebuilt_text},
};

/// Arguments of `events replay`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["stream", "views"])))]
pub(crate) struct ReplayArguments {
    /// Show what the events of this stream lead to, for example default/execution/ex_…
    stream: Option<String>,
    /// The state after this many events of the stream
    #[arg(long, value_name = "N", conflicts_with_all = ["at_time", "views"])]
    at_version: Option<u64>,
    /// The state when this time had passed (RFC 3339), by the times of commit
    #[arg(long, value_name = "TIME", conflicts_with = "views")]
    at_time: Option<String>,
    /// Build the views anew from the whole log while the present ones stay in use
    #[arg(long)]
    views: bool,
}

impl ReplayArguments {
    pub(super) async fn execute(self, session: &Session<'_>, place: &Place) -> Result<(), Failure> {
        let Some(stream) = self.stream else {
            // Nothing is made where nothing was ever written.
            drop(session.source(place).await?);
            let purpose = "building the views anew";
            let reply = session.command(place, RebuildViews {}, purpose).await?;
            return session.output.result(&reply, views_rebuilt_text);
        };
        let reader = session.source(place).await?;
        let query = GetAggregate { stream, at_version: self.at_version, at_time: self.at_time };
        let reply = session.ask(&reader, query).await?;
        session.output.result(&reply, aggregate_text)
    }
}
