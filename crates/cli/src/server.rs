//! A server instead of a store of this machine: which, and as whom.

use std::{fmt, fs, path::PathBuf};

use clap::Args;
use flexcore_client::{ApiKey, Client, ClientError, ClientOptions, ClientTls};

use crate::{
    Exit, Place, Reader,
    failure::{Code, Failure},
    session::Session,
};

/// The variables that say what the options do not.
const SERVER: &str = "FLEXCORE_SERVER";
const KEY: &str = "FLEXCORE_API_KEY";
const KEY_FILE: &str = "FLEXCORE_API_KEY_FILE";
const AUTHORITIES: &str = "FLEXCORE_SERVER_CA";
const CERTIFICATE: &str = "FLEXCORE_CLIENT_CERTIFICATE";
const CERTIFICATE_KEY: &str = "FLEXCORE_CLIENT_KEY";
/// The file in the state folder with the token of a server of this machine.
const TOKEN: &str = "token";

/// Options of verbs that ask a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "A server instead of a store of this machine")]
pub(crate) struct ServerOptions {
    /// The server to ask.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with = "store",
        help = "The server to ask, for example https://flexcore.example.org [default: FLEXCORE_SERVER]"
    )]
    pub(crate) server: Option<String>,
    /// The file with the API key [default: FLEXCORE_API_KEY_FILE, else FLEXCORE_API_KEY, else the
    /// token in the state folder for a server of this machine]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The API key itself, which other users of this machine can see
    #[arg(long, global = true, value_name = "KEY", conflicts_with = "api_key_file")]
    pub(crate) api_key: Option<KeyText>,
    /// A PEM file with authorities to trust besides those of the system [default:
    /// FLEXCORE_SERVER_CA]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) server_ca: Option<PathBuf>,
    /// A PEM file with the certificate to show [default: FLEXCORE_CLIENT_CERTIFICATE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_certificate: Option<PathBuf>,
    /// A PEM file with its private key [default: FLEXCORE_CLIENT_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) client_key: Option<PathBuf>,
}

/// A key as somebody typed it; it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyText(String);

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyText(***)")
    }
}

impl Session<'_> {
    /// The server that was named; `None` to work with the store of this machine.
    pub(crate) fn server(&self) -> Result<Option<&Client>, Failure> {
        if let Some(known) = self.server.get() {
            return Ok(known.as_ref());
        }
        let client = match self.named_server() {
            Some(url) => Some(self.client(&url, None)?),
            None => None,
        };
        if let Some(client) = client.as_ref().filter(|client| client.is_in_clear()) {
            self.output.warning(&format!(
                "what is sent to {} can be read on its way; https:// keeps it private",
                client.server()
            ));
        }
        Ok(self.server.get_or_init(|| client).as_ref())
    }

    /// Whether a server was named.
    pub(crate) fn is_remote(&self) -> bool {
        self.named_server().is_some()
    }

    /// The server of this machine that has the store of a place.
    pub(crate) fn server_of(&self, place: &Place) -> Result<Option<Client>, Failure> {
        match self.host.serving(place) {
            Some(url) => self.client(&url, Some(place)).map(Some),
            None => Ok(None),
        }
    }

    /// Refuses a verb that works on this machine only while a server is named.
    pub(crate) fn only_here(&self, verb: &str, why: &str) -> Result<(), Failure> {
        let Some(url) = self.named_server() else { return Ok(()) };
        let how = match self.options.server.server {
            Some(_) => "leave out --server".to_owned(),
            None => format!("unset {SERVER}"),
        };
        let message = format!("`flexcore {verb}` does not ask a server: {why}");
        let hint = format!("run it on the machine itself, or {how} (it is {url})");
        Err(Failure::new(Code::OnlyHere, message).hint(hint))
    }

    /// Not from a project's `.env`: a project could have keys sent to a server of its own.
    fn named_server(&self) -> Option<String> {
        let named = self.options.server.server.as_ref();
        named.or_else(|| self.set(SERVER)).filter(|url| !url.is_empty()).cloned()
    }

    fn client(&self, url: &str, place: Option<&Place>) -> Result<Client, Failure> {
        let mut options = ClientOptions::new(url);
        let given = &self.options.server;
        let file = |given: &Option<PathBuf>, variable: &str| {
            let named = given.clone().or_else(|| self.set(variable).map(PathBuf::from));
            named.map(|path| self.host.current_folder().join(path))
        };
        let certificate = file(&given.client_certificate, CERTIFICATE);
        options.tls = ClientTls {
            authorities: file(&given.server_ca, AUTHORITIES),
            identity: certificate.zip(file(&given.client_key, CERTIFICATE_KEY)),
        };
        let client = Client::new(options.clone())?;
        options.key = self.key(file(&given.api_key_file, KEY_FILE), &client, place)?;
        Ok(Client::new(options)?)
    }

    fn key(
        &self,
        file: Option<PathBuf>,
        client: &Client,
        place: Option<&Place>,
    ) -> Result<Option<ApiKey>, Failure> {
        if let Some(key) = &self.options.server.api_key {
            self.output.warning(
                "the key in `--api-key` can be seen by other users of this machine; \
                 --api-key-file and FLEXCORE_API_KEY keep it to yourself",
            );
            return usable(&key.0, "--api-key").map(Some);
        }
        if let Some(file) = file {
            let shown = file.display().to_string();
            let text = fs::read_to_string(&file).map_err(|error| {
                Failure::new(Code::File, format!("cannot read the API key in {shown}: {error}"))
            })?;
            return usable(&text, &shown).map(Some);
        }
        if let Some(key) = self.set(KEY) {
            return usable(key, KEY).map(Some);
        }
        // A token that is not there is not needed, or its lack is what the server answers.
        if !client.is_loopback() {
            return Ok(None);
        }
        let token = match place {
            Some(place) => place.state_folder.join(TOKEN),
            None => match self.here() {
                Ok(here) => here.place.state_folder.join(TOKEN),
                Err(_) => return Ok(None),
            },
        };
        Ok(fs::read_to_string(token).ok().and_then(|text| ApiKey::parse(&text)))
    }

    fn set(&self, variable: &str) -> Option<&String> {
        self.host.environment().get(variable).filter(|value| !value.is_empty())
    }
}

fn usable(text: &str, place: &str) -> Result<ApiKey, Failure> {
    ApiKey::parse(text).ok_or_else(|| {
        Failure::new(Code::Setting, format!("{place} holds no API key"))
            .hint("a key is one word of visible characters, such as flx_…")
    })
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let body = error.body();
        let request = match error {
            ClientError::Problem(problem) => problem.request_id,
            _ => None,
        };
        // Refusals explain themselves; what went wrong inside is in the server's log.
        let failure = Self::from(body);
        match (failure.exit(), request) {
            (Exit::System, Some(id)) => failure.also(&format!("the server calls it {id}")),
            _ => failure,
        }
    }
}

/// A session's server, once somebody asked for it.
pub(crate) type KnownServer = std::sync::OnceLock<Option<Client>>;

/// Where a verb's queries are answered.
pub(crate) enum Source {
    /// By a store that is open to read.
    Store(Box<Reader>),
    /// By a server.
    Server(Client),
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => formatter.write_str("Store"),
            Self::Server(client) => write!(formatter, "Server({})", client.server()),
        }
    }
}
