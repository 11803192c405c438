//! `postgres-processor`: runs an SQL statement; rows are records.

mod failure;
mod parameter;
mod settings;
mod statement;
mod tls;

use std::time::Duration;

use flexcore_plugin_sdk::{
    Call, Failure, Plugin, PluginInfo, PluginType, Problem, Records, Setup, Sink,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::{CancelToken, Client, Config, GenericClient, NoTls, config::SslMode};

use crate::{lines::parameters, registry::VERSION};
use failure::failure;
use parameter::Parameter;
use settings::Settings;
use statement::{Counts, Prepared};
use tls::Tls;

/// Runs one SQL statement: once for each record, with values from its fields, or once for a call
/// without records. Rows are records of a data stream. A call is one transaction.
#[derive(Debug, Clone, Copy)]
pub struct PostgresProcessor;

impl PostgresProcessor {
    /// Its name.
    pub const NAME: &str = "postgres-processor";
}

/// The settings, and the connection that is kept between calls.
pub struct PostgresSession {
    settings: Settings,
    connection: Config,
    /// With `sslmode=require`.
    tls: Option<Tls>,
    client: Mutex<Option<Client>>,
}

impl std::fmt::Debug for PostgresSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection holds a password.
        formatter.debug_struct("PostgresSession").finish_non_exhaustive()
    }
}

impl Plugin for PostgresProcessor {
    type Session = PostgresSession;

    fn info(&self) -> PluginInfo {
        PluginInfo::new(Self::NAME, VERSION, PluginType::Processor)
    }

    fn config_schema(&self) -> Value {
        settings::schema()
    }

    async fn validate(&self, config: &Value) -> Vec<Problem> {
        Settings::read(config).err().into_iter().collect()
    }

    async fn initialize(&self, setup: Setup) -> Result<PostgresSession, Failure> {
        let settings = Settings::read(&setup.config).map_err(|problem| {
            Failure::configuration(format!("{} {}", problem.pointer, problem.message))
        })?;
        let connection = settings.connection(&setup)?;
        let wants_tls = connection.get_ssl_mode() == SslMode::Require;
        let authorities = settings.ca_certificates.as_deref();
        let tls = if wants_tls { Some(Tls::new(authorities)?) } else { None };
        let session = PostgresSession { settings, connection, tls, client: Mutex::new(None) };
        // A server that cannot be reached is better known now.
        let client = session.connect().await?;
        *session.client.lock().await = Some(client);
        Ok(session)
    }

    async fn execute(
        &self,
        session: &PostgresSession,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Value, Failure> {
        let mut kept = session.client.lock().await;
        let mut client = match kept.take() {
            Some(client) if !client.is_closed() => client,
            _ => session.connect().await?,
        };
        let stop = StopOnDrop(Some((client.cancel_token(), session.tls.clone())));
        let outcome = session.work(&mut client, call, records, sink).await;
        stop.disarm();
        // A call that was dropped half way, or lost its connection, leaves none for the next one.
        if !client.is_closed() {
            *kept = Some(client);
        }
        let (taken, counts) = outcome?;
        Ok(json!({"records": taken, "rows": counts.rows, "affected": counts.affected}))
    }

    async fn health(&self, _session: Option<&PostgresSession>) -> Result<(), String> {
        // A server that is away for a moment is no reason to start the plugin anew: the next call
        // connects again.
        Ok(())
    }
}

impl PostgresSession {
    async fn connect(&self) -> Result<Client, Failure> {
        let failed = |error| failure("cannot connect to PostgreSQL", &error);
        // A connection ends with its client; its errors reach whoever waits for an answer.
        let client = if let Some(tls) = self.tls.clone() {
            let (client, connection) = self.connection.connect(tls).await.map_err(failed)?;
            tokio::spawn(connection);
            client
        } else {
            let (client, connection) = self.connection.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(connection);
            client
        };
        let timeout = self.settings.statement_timeout_ms;
        client
            .batch_execute(&format!("SET statement_timeout = {timeout}"))
            .await
            .map_err(|error| failure("cannot set the statement timeout", &error))?;
        Ok(client)
    }

    async fn work(
        &self,
        client: &mut Client,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<(u64, Counts), Failure> {
        let prepared = Prepared::new(client, &self.settings.statement).await?;
        if !self.settings.transaction {
            let counts = self.run(client, &prepared, call, records, sink).await?;
            return Ok((records.taken(), counts));
        }
        let begun = client.build_transaction().read_only(self.settings.read_only).start().await;
        let transaction = begun.map_err(|error| failure("cannot begin a transaction", &error))?;
        // Dropped, and so rolled back, if anything fails.
        let counts = self.run(&transaction, &prepared, call, records, sink).await?;
        // What was sent must not be taken for done before it is.
        transaction
            .commit()
            .await
            .map_err(|error| failure("the transaction could not be committed", &error))?;
        Ok((records.taken(), counts))
    }

    async fn run<C: GenericClient + Sync>(
        &self,
        client: &C,
        prepared: &Prepared,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Counts, Failure> {
        let Settings { stream, bind, .. } = &self.settings;
        let mut counts = Counts::default();
        while let Some(record) = records.next().await? {
            let values = Parameter::of_record(&record, bind)?;
            let more = prepared.run(client, &values, stream, sink).await;
            let more = more.map_err(|failure| Failure {
                message: format!("record {}: {}", record.number(), failure.message),
                ..failure
            })?;
            counts.rows += more.rows;
            counts.affected += more.affected;
        }
        if records.taken() > 0 || !bind.is_empty() {
            return Ok(counts);
        }
        let values = self.settings.values(parameters(call))?;
        let values: Vec<Parameter> = values.into_iter().map(Parameter::new).collect();
        prepared.run(client, &values, stream, sink).await
    }
}

/// Has the server stop when a call is dropped half way.
struct StopOnDrop(Option<(CancelToken, Option<Tls>)>);

impl StopOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some((token, tls)) = self.0.take() {
            // The server may have ended already; nobody is left to be told.
            tokio::spawn(async move {
                let cancelled = async {
                    match tls {
                        Some(tls) => token.cancel_query(tls).await,
                        None => token.cancel_query(NoTls).await,
                    }
                };
                let _ = tokio::time::timeout(Duration::from_secs(1), cancelled).await;
            });
        }
    }
}
