//! `flexcore key create|list|revoke`

use clap::Subcommand;
use flexcore_api::{ApiKeyPage, CreateApiKey, ListApiKeys, RevokeApiKey};

use crate::{
    Exit,
    failure::Failure,
    report::Done,
    session::Session,
    text::{api_key_created_text, api_key_page_text},
};

/// Verbs of API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// Make a key and print it, once; nobody can see it again
    Create(CreateApiKey),
    /// List the keys; what was printed when they were made is not kept
    List(ListApiKeys),
    /// Take a key back, for good
    Revoke(RevokeApiKey),
}

impl KeyVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::Create(command) => {
                let created = session.command(&place, command, "making an API key").await?;
                session.output.result(&created, api_key_created_text)?;
                if created.key.is_some() {
                    session.output.note("keep it now: it cannot be shown again");
                }
            }
            Self::List(query) => {
                let page = match session.source_if_there(&place).await? {
                    Some(reader) => session.ask(&reader, query).await?,
                    None => ApiKeyPage { items: vec![], next: None },
                };
                session.output.result(&page, api_key_page_text)?;
            }
            Self::Revoke(command) => {
                let id = command.id.clone();
                let written = session.command(&place, command, "revoking an API key").await?;
                let done = if written.position == 0 {
                    format!("key {id} was revoked before")
                } else {
                    format!("key {id} is revoked")
                };
                let done = Done { done, written };
                session.output.result(&done, |done, _| format!("{}\n", done.done))?;
            }
        }
        Ok(Exit::Completed)
    }
}
