//! `flexcore role define|list|remove`

use clap::Subcommand;
use flexcore_api::{DefineRole, ListRoles, RemoveRole, Written};

use crate::{Exit, failure::Failure, report::Done, session::Session, text::role_list_text};

/// Verbs of roles.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleVerb {
    /// Let a role be this from now on, for everybody who has it
    Define(DefineRole),
    /// List the roles, those that come with FlexCore first
    List(ListRoles),
    /// Take a role away from everybody who has it
    Remove(RemoveRole),
}

impl RoleVerb {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        match self {
            Self::Define(command) => {
                let name = command.name.clone();
                let written = session.command(&place, command, "defining a role").await?;
                let done = if written.position == 0 {
                    format!("role `{name}` was this before")
                } else {
                    format!("role `{name}` is defined")
                };
                say(session, done, written)?;
            }
            Self::List(query) => {
                let reader = session.source(&place).await?;
                let list = session.ask(&reader, query).await?;
                session.output.result(&list, role_list_text)?;
            }
            Self::Remove(command) => {
                let done = format!("role `{}` is removed", command.name);
                let written = session.command(&place, command, "removing a role").await?;
                say(session, done, written)?;
            }
        }
        Ok(Exit::Completed)
    }
}

fn say(session: &Session<'_>, done: String, written: Written) -> Result<(), Failure> {
    let done = Done { done, written };
    session.output.result(&done, |done, _| format!("{}\n", done.done))
}
