//! A statement, and how its rows become JSON.

use flexcore_plugin_sdk::{Failure, Sink};
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::{Client, GenericClient, SimpleQueryMessage, Statement, error::SqlState};

use super::{failure::failure, parameter::Parameter};

/// A statement that the server has understood.
pub(super) enum Prepared {
    /// It gives rows, which the server turns into JSON: so every type has the form that PostgreSQL
    /// gives it, and numbers keep their digits.
    Rows(Statement),
    /// It gives rows and cannot be part of another statement, such as `SHOW`: all values are text.
    Texts(String),
    /// It gives none.
    Nothing(Statement),
}

/// What came of statements.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) affected: u64,
}

impl Prepared {
    /// Has the server read the statement. Before any transaction, which a mistake would end.
    pub(super) async fn new(client: &Client, sql: &str) -> Result<Self, Failure> {
        let sql = sql.trim().trim_end_matches(';');
        let plain = client.prepare(sql).await;
        let plain = plain.map_err(|error| failure("the statement has a mistake", &error))?;
        if plain.columns().is_empty() {
            return Ok(Self::Nothing(plain));
        }
        check_names(&plain)?;
        // The line feed ends a comment at the end of the statement.
        let wrapped = format!("WITH q AS ({sql}\n) SELECT row_to_json(q)::text FROM q");
        match client.prepare(&wrapped).await {
            Ok(statement) => Ok(Self::Rows(statement)),
            Err(error) if is_refused_there(&error) && plain.params().is_empty() => {
                Ok(Self::Texts(sql.to_owned()))
            }
            Err(error) => Err(failure(
                "the statement gives rows, and cannot stand in `WITH q AS (…)`, which makes JSON \
                 of them",
                &error,
            )),
        }
    }

    /// Runs it once and sends its rows.
    pub(super) async fn run<C: GenericClient + Sync>(
        &self,
        client: &C,
        parameters: &[Parameter],
        stream: &str,
        sink: &mut Sink,
    ) -> Result<Counts, Failure> {
        match self {
            Self::Rows(statement) => rows(client, statement, parameters, stream, sink).await,
            Self::Nothing(statement) => {
                check_count(statement, parameters)?;
                let executed = client.execute_raw(statement, parameters).await;
                let affected = executed.map_err(|error| failure(FAILED, &error))?;
                Ok(Counts { rows: 0, affected })
            }
            Self::Texts(sql) => texts(client, sql, stream, sink).await,
        }
    }
}

const FAILED: &str = "the statement failed";

fn is_refused_there(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::SYNTAX_ERROR | &SqlState::FEATURE_NOT_SUPPORTED))
}

/// A record cannot have two fields of one name.
fn check_names(statement: &Statement) -> Result<(), Failure> {
    let names: Vec<&str> = statement.columns().iter().map(tokio_postgres::Column::name).collect();
    let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
    match twice {
        None => Ok(()),
        Some((_, name)) => Err(Failure::configuration(format!(
            "two columns of the statement are called `{name}`; give one another name with AS"
        ))),
    }
}

fn check_count(statement: &Statement, parameters: &[Parameter]) -> Result<(), Failure> {
    let (wanted, given) = (statement.params().len(), parameters.len());
    if wanted == given {
        return Ok(());
    }
    Err(Failure::configuration(format!(
        "the statement has {wanted} values to fill in, and {given} were given; `bind` names the \
         fields of records, `parameters` has values for calls without records"
    )))
}

async fn rows<C: GenericClient + Sync>(
    client: &C,
    statement: &Statement,
    parameters: &[Parameter],
    stream: &str,
    sink: &mut Sink,
) -> Result<Counts, Failure> {
    check_count(statement, parameters)?;
    let failed = |error: tokio_postgres::Error| failure(FAILED, &error);
    let found = client.query_raw(statement, parameters).await.map_err(failed)?;
    pin_mut!(found);
    let mut counts = Counts::default();
    // Rows come as fast as the host takes them.
    while let Some(row) = found.try_next().await.map_err(failed)? {
        let json: &str = row.try_get(0).map_err(failed)?;
        sink.send_json(stream, json).await?;
        counts.rows += 1;
    }
    Ok(counts)
}

async fn texts<C: GenericClient + Sync>(
    client: &C,
    sql: &str,
    stream: &str,
    sink: &mut Sink,
) -> Result<Counts, Failure> {
    let messages = client.simple_query(sql).await.map_err(|error| failure(FAILED, &error))?;
    let mut counts = Counts::default();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let fields = row.columns().iter().enumerate();
            let record: serde_json::Map<_, _> = fields
                .map(|(place, column)| (column.name().to_owned(), row.get(place).into()))
                .collect();
            sink.send(stream, &record).await?;
            counts.rows += 1;
        }
    }
    Ok(counts)
}
