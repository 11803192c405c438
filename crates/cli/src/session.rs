//! One call of one verb, from its arguments to its exit code.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use flexcore_api::{Command, CommandEnvelope, Query};
use flexcore_app::{HandleCommand, HandleQuery, RequestContext, Services};
use flexcore_client::Client;

use crate::{
    Cli, Host, HostErrorKind, Place, Terminal, Writer,
    arguments::Options,
    failure::{Code, Failure},
    output::{Appearance, Output},
    server::{KnownServer, Source},
};

/// Carries out a verb on the streams of `terminal` and gives back the exit code of the process
/// ([`Exit`](crate::Exit)).
pub async fn execute(cli: Cli, host: &dyn Host, terminal: Terminal) -> ExitCode {
    let Cli { options, verb } = cli;
    let mut session = Session::new(options, host, terminal);
    session.settings_file = verb.settings_file().map(Path::to_owned);
    match verb.execute(&session).await {
        Ok(exit) => exit,
        Err(failure) => {
            session.output.failure(&failure);
            failure.exit().into()
        }
    }
}

/// Who carries out what needs the store to write.
#[derive(Debug)]
pub(crate) enum Opened {
    /// This process.
    Here(Writer),
    /// A server.
    At(Client),
}

/// What every verb is given.
pub(crate) struct Session<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) options: Options,
    pub(crate) output: Arc<Output>,
    /// Who asks, for the record.
    pub(crate) context: RequestContext,
    /// The file of a server's settings, if the verb names one.
    pub(crate) settings_file: Option<PathBuf>,
    /// A verb may look for its store more than once; it warns once.
    pub(crate) warned_of_password: AtomicBool,
    /// The server that was named, once somebody asked for it.
    pub(crate) server: KnownServer,
}

impl<'a> Session<'a> {
    pub(crate) fn new(options: Options, host: &'a dyn Host, terminal: Terminal) -> Self {
        let set = |name: &str| host.environment().get(name).filter(|value| !value.is_empty());
        let appearance = Appearance {
            format: options.output,
            color: options.color,
            // <https://no-color.org> and terminals that know no colours.
            plain: set("NO_COLOR").is_some() || set("TERM").is_some_and(|term| term == "dumb"),
            quiet: options.quiet,
        };
        let user = set("USER").or_else(|| set("LOGNAME")).map_or("unknown", String::as_str);
        Self {
            host,
            options,
            output: Arc::new(Output::new(terminal, appearance)),
            context: RequestContext::local(format!("user:{user}")),
            settings_file: None,
            warned_of_password: AtomicBool::new(false),
            server: KnownServer::new(),
        }
    }

    /// Where queries about a place are answered: by the server that was named, else by the store,
    /// opened to read.
    pub(crate) async fn source(&self, place: &Place) -> Result<Source, Failure> {
        match self.server()? {
            Some(server) => Ok(Source::Server(server.clone())),
            None => Ok(Source::Store(Box::new(self.host.read(place).await?))),
        }
    }

    /// The same; `None` if nothing was ever written there.
    pub(crate) async fn source_if_there(&self, place: &Place) -> Result<Option<Source>, Failure> {
        if let Some(server) = self.server()? {
            return Ok(Some(Source::Server(server.clone())));
        }
        match self.host.read(place).await {
            Ok(reader) => Ok(Some(Source::Store(Box::new(reader)))),
            Err(error) if error.kind == HostErrorKind::Absent => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks a query.
    pub(crate) async fn ask<Q: Query>(&self, source: &Source, query: Q) -> Result<Q::Reply, Failure>
    where
        Services: HandleQuery<Q>,
    {
        match source {
            Source::Store(reader) => Ok(reader.queries.ask(&self.context, query).await?),
            Source::Server(server) => Ok(server.query(&query).await?),
        }
    }

    /// Sends a command to the server that was named, or to the live writer of a place, or carries
    /// it out with the store opened for as long as it takes.
    pub(crate) async fn command<C: Command>(
        &self,
        place: &Place,
        command: C,
        purpose: &str,
    ) -> Result<C::Reply, Failure>
    where
        Services: HandleCommand<C>,
    {
        if let Some(reply) = self.send(place, &command).await? {
            return Ok(reply);
        }
        let writer = self.host.write(place, purpose).await?;
        let reply = writer.commands.execute(&self.context, command).await;
        self.close(writer).await;
        Ok(reply?)
    }

    /// Sends a command to the server that was named, or to the live writer of a place; `None` if
    /// there is neither.
    pub(crate) async fn send<C: Command>(
        &self,
        place: &Place,
        command: &C,
    ) -> Result<Option<C::Reply>, Failure> {
        if let Some(server) = self.server()? {
            return Ok(Some(server.command(command).await?));
        }
        let body = serde_json::to_value(command).map_err(|error| {
            Failure::new(Code::Reply, format!("cannot send {}: {error}", C::NAME))
        })?;
        let envelope = CommandEnvelope { command: C::NAME.to_owned(), body };
        let Some(answer) = self.host.send(place, envelope).await? else { return Ok(None) };
        serde_json::from_value(answer?).map(Some).map_err(|error| {
            let message = format!("the answer to {} cannot be understood: {error}", C::NAME);
            Failure::new(Code::Reply, message)
                .hint("the process that holds the store may be of another version of flexcore")
        })
    }

    /// Opens a store to write. If a server of this machine has it, that server is asked instead.
    pub(crate) async fn write_or_server(
        &self,
        place: &Place,
        purpose: &str,
    ) -> Result<Opened, Failure> {
        let held = match self.host.write(place, purpose).await {
            Ok(writer) => return Ok(Opened::Here(writer)),
            Err(error) => error,
        };
        let is_held = matches!(held.kind, HostErrorKind::Held { .. });
        match self.server_of(place)? {
            Some(server) if is_held => {
                self.output
                    .note(&format!("the store is that of {}, which does it", server.server()));
                Ok(Opened::At(server))
            }
            _ => Err(held.into()),
        }
    }

    /// Closes a store. What was recorded is durable already, so a failure is worth a warning only.
    pub(crate) async fn close(&self, writer: Writer) {
        if let Err(error) = writer.close().await {
            self.output.warning(&format!("the store was not closed cleanly: {error}"));
        }
    }
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}
