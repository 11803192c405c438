//! `json-transform`: a jq program over records.

mod program;

use flexcore_plugin_sdk::{
    Call, Failure, Plugin, PluginInfo, PluginType, Problem, Record, Records, Setup, Sink, blocking,
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::sync::Arc;

use crate::{
    lines::{parameters, settings},
    registry::VERSION,
};
use program::Program;

/// Runs a jq program over each record, or over the array of all of them. Results that are objects
/// are records, and so are the objects of results that are arrays. A call without records but with
/// parameters runs the program on those, and the results are the result of the call.
#[derive(Debug, Clone, Copy)]
pub struct JsonTransform;

/// The data stream of the results of a program over all records.
const OUTPUT: &str = "output";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    filter: String,
    #[serde(default)]
    over: Over,
    #[serde(default)]
    variables: Map<String, Value>,
    stream: Option<String>,
    #[serde(default)]
    on_error: OnError,
    #[serde(default = "rejected")]
    rejected_stream: String,
}

fn rejected() -> String {
    "rejected".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Over {
    #[default]
    Record,
    All,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnError {
    #[default]
    Fail,
    Reject,
}

/// What is kept of the settings.
#[derive(Clone)]
pub struct TransformSession {
    settings: Arc<Settings>,
    program: Arc<Program>,
}

impl std::fmt::Debug for TransformSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TransformSession").finish_non_exhaustive()
    }
}

impl JsonTransform {
    /// Its name.
    pub const NAME: &str = "json-transform";
}

fn compile(config: &Value) -> Result<TransformSession, Problem> {
    let settings: Settings =
        settings(config).map_err(|failure| Problem::new("", failure.message))?;
    let variables: Vec<(String, String)> =
        settings.variables.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    let program = Program::compile(&settings.filter, &variables).map_err(|error| {
        Problem::new("/filter", format!("the jq program has a mistake: {error}"))
    })?;
    Ok(TransformSession { settings: Arc::new(settings), program: Arc::new(program) })
}

impl Plugin for JsonTransform {
    type Session = TransformSession;

    fn info(&self) -> PluginInfo {
        PluginInfo::new(Self::NAME, VERSION, PluginType::Transformer).stateless()
    }

    fn config_schema(&self) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["filter"],
            "additionalProperties": false,
            "properties": {
                "filter": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The jq program."
                },
                "over": {
                    "enum": ["record", "all"],
                    "default": "record",
                    "description": "What the program is run on: each record, or one array of all \
                                    records, which are held in memory for it."
                },
                "variables": {
                    "type": "object",
                    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                    "description": "Values that the program has as `$name`."
                },
                "stream": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The data stream of the results; that of the record, or \
                                    `output` for a program over all records, unless given."
                },
                "on_error": {
                    "enum": ["fail", "reject"],
                    "default": "fail",
                    "description": "What becomes of a record for which the program fails: the call \
                                    fails, or the record goes to `rejected_stream` with the error."
                },
                "rejected_stream": {
                    "type": "string",
                    "minLength": 1,
                    "default": "rejected",
                    "description": "The data stream of records that were rejected."
                }
            }
        })
    }

    async fn validate(&self, config: &Value) -> Vec<Problem> {
        compile(config).err().into_iter().collect()
    }

    async fn initialize(&self, setup: Setup) -> Result<TransformSession, Failure> {
        compile(&setup.config).map_err(|problem| Failure::configuration(problem.message))
    }

    async fn execute(
        &self,
        session: &TransformSession,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Value, Failure> {
        match session.settings.over {
            Over::Record => each(session, call, records, sink).await,
            Over::All => all(session, call, records, sink).await,
        }
    }
}

async fn each(
    session: &TransformSession,
    call: &Call,
    records: &mut Records,
    sink: &mut Sink,
) -> Result<Value, Failure> {
    let (mut sent, mut rejected) = (0_u64, 0_u64);
    while let Some(record) = records.next().await? {
        let outcome = session.program.run(record.json()).and_then(|results| objects(&results));
        match outcome {
            Ok(objects) => {
                let stream = session.settings.stream.as_deref().unwrap_or(record.stream());
                for object in objects {
                    sink.send_json(stream, object).await?;
                    sent += 1;
                }
            }
            Err(error) if session.settings.on_error == OnError::Reject => {
                rejected += 1;
                let reason = rejection(&record, &error)?;
                sink.send_json(&session.settings.rejected_stream, reason).await?;
            }
            Err(error) => {
                let (number, stream) = (record.number(), record.stream());
                return Err(Failure::data(format!(
                    "the jq program fails for record {number} of data stream `{stream}`: {error}"
                )));
            }
        }
    }
    match parameters(call) {
        Some(parameters) if records.taken() == 0 => on_parameters(session, parameters),
        _ => Ok(json!({"records": records.taken(), "sent": sent, "rejected": rejected})),
    }
}

async fn all(
    session: &TransformSession,
    call: &Call,
    records: &mut Records,
    sink: &mut Sink,
) -> Result<Value, Failure> {
    let mut taken: Vec<Record> = Vec::new();
    while let Some(record) = records.next().await? {
        taken.push(record);
    }
    if let Some(parameters) = parameters(call).filter(|_| taken.is_empty()) {
        return on_parameters(session, parameters);
    }
    let program = Arc::clone(&session.program);
    let results = blocking(move || {
        let results = program.run_on_all(taken.iter().map(Record::json))?;
        objects(&results)
    });
    let objects = results.await?.map_err(|error| {
        Failure::data(format!("the jq program fails for all records together: {error}"))
    })?;
    let stream = session.settings.stream.as_deref().unwrap_or(OUTPUT);
    let sent = objects.len();
    for object in objects {
        sink.send_json(stream, object).await?;
    }
    Ok(json!({"records": records.taken(), "sent": sent, "rejected": 0}))
}

/// The result of a call on its parameters: the one result of the program, or the list of several.
fn on_parameters(session: &TransformSession, parameters: &Value) -> Result<Value, Failure> {
    let results = session
        .program
        .run(parameters.to_string().as_bytes())
        .map_err(|error| Failure::data(format!("the jq program fails for the input: {error}")))?;
    let mut values = results.iter().map(|json| {
        serde_json::from_slice(json)
            .map_err(|error| Failure::internal(format!("a result cannot be read back: {error}")))
    });
    if results.len() == 1 {
        return values.next().unwrap_or(Ok(Value::Null));
    }
    values.collect::<Result<Vec<Value>, _>>().map(Value::Array)
}

/// The records among results: objects, and the objects of arrays.
fn objects(results: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let mut objects = Vec::new();
    for json in results {
        match json.first() {
            Some(b'{') => objects.push(json.clone()),
            Some(b'[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_slice(json).map_err(|error| error.to_string())?;
                for item in items {
                    if !item.get().starts_with('{') {
                        return Err(no_record(item.get()));
                    }
                    objects.push(item.get().as_bytes().to_vec());
                }
            }
            _ => return Err(no_record(&String::from_utf8_lossy(json))),
        }
    }
    Ok(objects)
}

fn no_record(json: &str) -> String {
    let kind = match json.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array in an array",
        Some(b't' | b'f') => "a truth value",
        Some(b'n') => "null",
        _ => "a number",
    };
    format!("its result is {kind}, and records are objects")
}

/// A record that was put aside.
fn rejection(record: &Record, error: &str) -> Result<Vec<u8>, Failure> {
    #[derive(serde::Serialize)]
    struct Rejected<'a> {
        record: Option<&'a RawValue>,
        stream: &'a str,
        number: u64,
        error: &'a str,
    }
    let rejected = Rejected {
        record: record.raw().ok(),
        stream: record.stream(),
        number: record.number(),
        error,
    };
    serde_json::to_vec(&rejected)
        .map_err(|error| Failure::internal(format!("a rejected record cannot be told: {error}")))
}
