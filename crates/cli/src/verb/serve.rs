//! `flexcore serve`

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::{
    Exit, ServeAddress, ServeRoles, ServeSettings, failure::Failure, interrupt::Interrupts,
    session::Session,
};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The address to listen at
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    address: IpAddr,
    /// The port to listen at; 0 for any that is free
    #[arg(long, env = "FLEXCORE_PORT", value_name = "NUMBER", default_value_t = 8080)]
    port: u16,
    /// A name under which the server is reached besides localhost; may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// What this process does
    #[arg(
        long,
        env = "FLEXCORE_ROLES",
        value_enum,
        value_delimiter = ',',
        default_values_t = [Role::Api, Role::Worker]
    )]
    roles: Vec<Role>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Answers requests.
    Api,
    /// Drives executions.
    Worker,
}

impl ServeArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let place = session.here()?.place;
        let output = std::sync::Arc::clone(&session.output);
        let settings = ServeSettings {
            address: SocketAddr::new(self.address, self.port),
            hosts: self.allow_host,
            roles: ServeRoles {
                api: self.roles.contains(&Role::Api),
                worker: self.roles.contains(&Role::Worker),
            },
            ready: Box::new(move |ServeAddress { address, token_file }| {
                output.note(&format!(
                    "listening on http://{address}; the token is in {}",
                    token_file.display()
                ));
            }),
        };
        let stop = CancellationToken::new();
        let mut interrupts = Interrupts::listen()?;
        let serving = session.host.serve(&place, settings, stop.clone());
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
