//! `flexcore plugin initialize|execute|validate|schema`

use clap::Args;
use flexcore_api::{ExecutePlugin, GetPluginSchema, InitializePlugin, ValidatePluginConfig};
use serde_json::Value;

use crate::{
    Exit,
    failure::{Code, Failure},
    session::{Opened, Session},
    text::{
        plugin_executed_text, plugin_initialized_text, plugin_schema_text, plugin_validated_text,
    },
};

/// Arguments of `plugin execute`.
#[derive(Debug, Args)]
pub(crate) struct ExecuteArguments {
    /// The plugin
    name: String,
    /// What to do, where it can do several things
    #[arg(long, default_value = "", hide_default_value = true)]
    operation: String,
    /// Its settings: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}", hide_default_value = true)]
    config: String,
    /// What it works on: JSON, @FILE, or - for standard input; a list is the records of its data
    /// stream `input`
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "null", hide_default_value = true)]
    input: String,
}

impl ExecuteArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let command = ExecutePlugin {
            name: self.name,
            operation: self.operation,
            config: json(session, "config", &self.config)?,
            input: json(session, "input", &self.input)?,
            idempotency_key: None,
        };
        let place = &session.here()?.place;
        let executed = session.command(place, command, "calling a plugin").await?;
        session.output.result(&executed, plugin_executed_text)?;
        Ok(Exit::Completed)
    }
}

/// Arguments of `plugin validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArguments {
    /// The plugin
    name: String,
    /// The settings: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE", default_value = "{}", hide_default_value = true)]
    config: String,
}

impl ValidateArguments {
    /// Settings that cannot be used are a refusal, as a pipeline file with a mistake is.
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let config = json(session, "config", &self.config)?;
        let query = ValidatePluginConfig { name: self.name, config };
        let validated = ask_by_writing(session, query).await?;
        session.output.result(&validated, plugin_validated_text)?;
        Ok(if validated.valid { Exit::Completed } else { Exit::Refused })
    }
}

/// Arguments of `plugin schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// The plugin
    name: String,
    /// Settings with which it can look for its data streams: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    config: Option<String>,
}

impl SchemaArguments {
    pub(super) async fn execute(self, session: &Session<'_>) -> Result<Exit, Failure> {
        let config = self.config.map(|text| json(session, "config", &text)).transpose()?;
        let query = GetPluginSchema { name: self.name, config };
        let schema = ask_by_writing(session, query).await?;
        session.output.result(&schema, plugin_schema_text)?;
        Ok(Exit::Completed)
    }
}

pub(super) async fn initialize(
    session: &Session<'_>,
    command: InitializePlugin,
) -> Result<Exit, Failure> {
    let place = &session.here()?.place;
    let initialized = session.command(place, command, "starting a plugin").await?;
    session.output.result(&initialized, plugin_initialized_text)?;
    Ok(if initialized.healthy { Exit::Completed } else { Exit::Failed })
}

/// Asks what only a plugin knows: it has to be started for that, which a reader does not.
pub(super) async fn ask_by_writing<Q: flexcore_api::Query>(
    session: &Session<'_>,
    query: Q,
) -> Result<Q::Reply, Failure>
where
    flexcore_app::Services: flexcore_app::HandleQuery<Q>,
{
    if let Some(server) = session.server()? {
        return Ok(server.query(&query).await?);
    }
    let place = session.here()?.place;
    let writer = match session.write_or_server(&place, "asking a plugin").await? {
        Opened::Here(writer) => writer,
        Opened::At(server) => return Ok(server.query(&query).await?),
    };
    let reply = writer.queries.ask(&session.context, query).await;
    session.close(writer).await;
    Ok(reply?)
}

/// JSON as it was given, from a file, or from standard input.
pub(super) fn json(session: &Session<'_>, what: &str, text: &str) -> Result<Value, Failure> {
    let (text, place) = if text == "-" {
        let text = session.output.read_input().map_err(|error| {
            Failure::new(Code::File, format!("cannot read standard input: {error}"))
        })?;
        (text, "standard input".to_owned())
    } else if let Some(file) = text.strip_prefix('@') {
        let path = session.host.current_folder().join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::new(Code::File, format!("cannot read {}: {error}", path.display()))
        })?;
        (text, path.display().to_string())
    } else {
        (text.to_owned(), format!("--{what}"))
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(Code::Usage, format!("{place} is no JSON: {error}")))
}
