//! `data-validator`: records that fit a JSON Schema go on.

use std::collections::BTreeMap;

use flexcore_plugin_sdk::{
    Call, Failure, Plugin, PluginInfo, PluginType, Problem, Record, Records, Setup, Sink,
};
use jsonschema::{ValidationError, Validator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::{
    lines::{self, parameters, settings},
    registry::VERSION,
};

/// Holds records against JSON Schemas. Those that fit go on as they came, in their data stream;
/// others go to another one with the reasons, or fail the call. A call without records but with
/// parameters says whether those fit.
#[derive(Debug, Clone, Copy)]
pub struct DataValidator;

impl DataValidator {
    /// Its name.
    pub const NAME: &str = "data-validator";
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    schema: Option<Value>,
    #[serde(default)]
    schemas: BTreeMap<String, Value>,
    #[serde(default)]
    on_invalid: OnInvalid,
    max_invalid: Option<u64>,
    #[serde(default = "ten")]
    max_errors: usize,
    #[serde(default = "rejected")]
    rejected_stream: String,
}

fn ten() -> usize {
    10
}

fn rejected() -> String {
    "rejected".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnInvalid {
    #[default]
    Reject,
    Fail,
}

/// What is kept of the settings.
#[derive(Debug)]
pub struct ValidatorSession {
    settings: Settings,
    /// For data streams without a schema of their own.
    validator: Option<Validator>,
    validators: BTreeMap<String, Validator>,
}

/// Why a record does not fit.
#[derive(Debug, Serialize)]
struct Reason {
    pointer: String,
    message: String,
}

fn compile(config: &Value) -> Result<ValidatorSession, Problem> {
    let settings: Settings =
        settings(config).map_err(|failure| Problem::new("", failure.message))?;
    if settings.schema.is_none() && settings.schemas.is_empty() {
        return Err(Problem::new("", "there is neither `schema` nor `schemas`"));
    }
    let build = |schema: &Value, pointer: String| {
        // Nothing is fetched: the library is built without its resolvers.
        jsonschema::validator_for(schema)
            .map_err(|error| Problem::new(pointer, format!("is no JSON Schema: {error}")))
    };
    let validator =
        settings.schema.as_ref().map(|schema| build(schema, "/schema".to_owned())).transpose()?;
    let mut validators = BTreeMap::new();
    for (stream, schema) in &settings.schemas {
        let escaped = stream.replace('~', "~0").replace('/', "~1");
        validators.insert(stream.clone(), build(schema, format!("/schemas/{escaped}"))?);
    }
    Ok(ValidatorSession { settings, validator, validators })
}

impl ValidatorSession {
    fn validator(&self, stream: &str) -> Option<&Validator> {
        self.validators.get(stream).or(self.validator.as_ref())
    }

    /// Why a record does not fit; empty if it does.
    fn reasons(&self, validator: &Validator, json: &[u8]) -> Vec<Reason> {
        let whole = |message| vec![Reason { pointer: String::new(), message }];
        if let Err(error) = lines::check(json) {
            return whole(error);
        }
        let value: Value = match serde_json::from_slice(json) {
            Ok(value) => value,
            Err(error) => return whole(error.to_string()),
        };
        let reason = |error: ValidationError<'_>| Reason {
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        };
        validator.iter_errors(&value).take(self.settings.max_errors.max(1)).map(reason).collect()
    }
}

impl Plugin for DataValidator {
    type Session = ValidatorSession;

    fn info(&self) -> PluginInfo {
        PluginInfo::new(Self::NAME, VERSION, PluginType::Transformer).stateless()
    }

    fn config_schema(&self) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "anyOf": [{"required": ["schema"]}, {"required": ["schemas"]}],
            "properties": {
                "schema": {
                    "type": ["object", "boolean"],
                    "description": "The JSON Schema of records whose data stream has none in \
                                    `schemas`."
                },
                "schemas": {
                    "type": "object",
                    "additionalProperties": {"type": ["object", "boolean"]},
                    "description": "JSON Schemas by data stream. Records of data streams that have \
                                    none, here or in `schema`, fail the call."
                },
                "on_invalid": {
                    "enum": ["reject", "fail"],
                    "default": "reject",
                    "description": "What becomes of a record that does not fit: it goes to \
                                    `rejected_stream` with the reasons, or the call fails."
                },
                "max_invalid": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "The call fails when more records than this were rejected."
                },
                "max_errors": {
                    "type": "integer",
                    "minimum": 1,
                    "default": 10,
                    "description": "As many reasons as are told of one record."
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

    async fn initialize(&self, setup: Setup) -> Result<ValidatorSession, Failure> {
        compile(&setup.config).map_err(|problem| {
            Failure::configuration(format!("{} {}", problem.pointer, problem.message))
        })
    }

    async fn execute(
        &self,
        session: &ValidatorSession,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Value, Failure> {
        let (mut valid, mut invalid) = (0_u64, 0_u64);
        while let Some(record) = records.next().await? {
            let validator = session.validator(record.stream()).ok_or_else(|| {
                Failure::configuration(format!(
                    "the data stream `{}` has no schema, in `schemas` or `schema`",
                    record.stream()
                ))
            })?;
            let reasons = session.reasons(validator, record.json());
            if reasons.is_empty() {
                valid += 1;
                sink.pass_on(record.stream(), &record).await?;
                continue;
            }
            invalid += 1;
            if session.settings.on_invalid == OnInvalid::Fail {
                return Err(unfit(&record, &reasons));
            }
            if session.settings.max_invalid.is_some_and(|most| invalid > most) {
                let Failure { class, message } = unfit(&record, &reasons);
                let most = session.settings.max_invalid.unwrap_or_default();
                let message = format!("more than {most} records do not fit; the last: {message}");
                return Err(Failure { class, message });
            }
            let rejected = rejection(&record, &reasons)?;
            sink.send_json(&session.settings.rejected_stream, rejected).await?;
        }
        match parameters(call) {
            Some(value) if records.taken() == 0 => on_parameters(session, value),
            _ => Ok(json!({"records": records.taken(), "valid": valid, "invalid": invalid})),
        }
    }
}

fn on_parameters(session: &ValidatorSession, value: &Value) -> Result<Value, Failure> {
    let validator = session.validator.as_ref().ok_or_else(|| {
        Failure::configuration("the input is no list of records, and there is no `schema` for it")
    })?;
    let reasons = session.reasons(validator, value.to_string().as_bytes());
    Ok(json!({"valid": reasons.is_empty(), "errors": reasons}))
}

/// A failure that names the place, and not the value, which may be anybody's personal data.
fn unfit(record: &Record, reasons: &[Reason]) -> Failure {
    let places: Vec<&str> = reasons
        .iter()
        .map(|reason| if reason.pointer.is_empty() { "the record" } else { &*reason.pointer })
        .collect();
    Failure::data(format!(
        "record {} of data stream `{}` does not fit its schema, at {}; with `on_invalid: reject` \
         it goes to another data stream with the reasons",
        record.number(),
        record.stream(),
        places.join(", ")
    ))
}

/// A record that was put aside.
fn rejection(record: &Record, reasons: &[Reason]) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Rejected<'a> {
        record: Option<&'a RawValue>,
        stream: &'a str,
        number: u64,
        errors: &'a [Reason],
    }
    let rejected = Rejected {
        record: record.raw().ok(),
        stream: record.stream(),
        number: record.number(),
        errors: reasons,
    };
    serde_json::to_vec(&rejected)
        .map_err(|error| Failure::internal(format!("a rejected record cannot be told: {error}")))
}
