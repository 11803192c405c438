//! `flexcore store status|migrate|prune`

use clap::{Args, Subcommand};
use flexcore_api::PruneStore;

use crate::{
    Exit, StoreAddress,
    failure::{Code, Failure},
    session::Session,
    text::{store_migration_text, store_pruned_text, store_status_text},
};

/// Verbs of stores.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Show what holds of the store: its version, sizes, durability, rights, and who writes it
    Status,
    /// Bring the schema of a database to what this version needs, as its owner
    Migrate(MigrateArguments),
    /// Remove old executions from the views, and what their steps wrote; events are never removed
    ///
    /// Executions that ended and were created before the given time no longer show in lists. A
    /// database removes whole months. Their events stay in the log, where `flexcore events` reads
    /// them and verifies them, and `flexcore events replay --views` brings the executions back.
    /// Logs that were removed do not come back.
    Prune(PruneStore),
}

/// Arguments of `store migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// A role of the database that may use the store, and cannot change or remove its events
    #[arg(long, value_name = "NAME")]
    app_role: Option<String>,
}

impl StoreVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::Status => {
                session.only_here("store status", "it looks at the store itself")?;
                let status = session.host.store_status(&place).await?;
                session.output.result(&status, store_status_text)?;
            }
            Self::Migrate(MigrateArguments { app_role }) => {
                session.only_here("store migrate", "a schema is changed by its owner")?;
                let StoreAddress::Database(url) = &place.store else {
                    let message = "the embedded store migrates by itself, when it is opened";
                    return Err(Failure::new(Code::StoreKind, message)
                        .hint("name a database: --store postgres://OWNER@HOST/DATABASE"));
                };
                let migration = session.host.migrate(url, app_role.as_deref()).await?;
                session.output.result(&migration, store_migration_text)?;
            }
            Self::Prune(prune) => {
                // Nothing is made where nothing was ever written.
                drop(session.source(&place).await?);
                let reply = session.command(&place, prune, "removing old executions").await?;
                session.output.result(&reply, store_pruned_text)?;
            }
        }
        Ok(Exit::Completed)
    }
}
