//! The settings of the PostgreSQL processor.

use std::time::Duration;

use flexcore_plugin_sdk::{Failure, Problem, Setup};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio_postgres::Config;

use crate::lines::settings;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) statement: String,
    dsn: Option<String>,
    dsn_secret: Option<String>,
    password_secret: Option<String>,
    pub(super) ca_certificates: Option<String>,
    #[serde(default)]
    pub(super) bind: Vec<String>,
    #[serde(default)]
    parameters: Vec<Value>,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default = "yes")]
    pub(super) transaction: bool,
    #[serde(default = "minute")]
    pub(super) statement_timeout_ms: u32,
    #[serde(default = "rows")]
    pub(super) stream: String,
}

fn yes() -> bool {
    true
}

fn minute() -> u32 {
    60_000
}

fn rows() -> String {
    "rows".to_owned()
}

impl Settings {
    /// Reads settings.
    pub(super) fn read(config: &Value) -> Result<Self, Problem> {
        let settings: Self =
            settings(config).map_err(|failure| Problem::new("", failure.message))?;
        let found = settings.find_problem();
        found.map_or(Ok(settings), Err)
    }

    fn find_problem(&self) -> Option<Problem> {
        if self.statement.trim().is_empty() {
            return Some(Problem::new("/statement", "is empty"));
        }
        if self.dsn.is_some() && self.dsn_secret.is_some() {
            return Some(Problem::new("/dsn_secret", "stands in for `dsn`; give one of the two"));
        }
        if self.read_only && !self.transaction {
            let message = "needs the transaction that `transaction: false` turns off";
            return Some(Problem::new("/read_only", message));
        }
        if !self.bind.is_empty() && !self.parameters.is_empty() {
            let message = "are for calls without records; with `bind` the values come from records";
            return Some(Problem::new("/parameters", message));
        }
        let dsn = self.dsn.as_ref()?;
        match dsn.parse::<Config>() {
            // What the library says may repeat the text, in which somebody put a password.
            Err(_) => Some(Problem::new("/dsn", WRONG_DSN)),
            Ok(config) if config.get_password().is_some() => Some(Problem::new(
                "/dsn",
                "holds a password; put that into a secret and name it in `password_secret`, or put \
                 the whole into a secret and name it in `dsn_secret`",
            )),
            Ok(_) => None,
        }
    }

    /// Where to connect to, with the values of secrets.
    pub(super) fn connection(&self, setup: &Setup) -> Result<Config, Failure> {
        let mut config = match &self.dsn {
            Some(dsn) => parse(dsn)?,
            None => parse(&self.dsn_of_secret(setup)?)?,
        };
        if let Some(name) = &self.password_secret {
            config.password(setup.secret(name)?.bytes());
        }
        config.connect_timeout(CONNECT_LIMIT).application_name("flexcore");
        Ok(config)
    }

    fn dsn_of_secret(&self, setup: &Setup) -> Result<String, Failure> {
        let name = match &self.dsn_secret {
            Some(name) => name,
            // Nobody has to name the one that there is.
            None if setup.secrets.len() == 1 => match setup.secrets.keys().next() {
                Some(name) => name,
                None => return Err(no_dsn()),
            },
            None => return Err(no_dsn()),
        };
        let secret = setup.secret(name)?;
        let text = secret.text().ok_or_else(|| Failure::configuration(WRONG_DSN))?;
        Ok(text.trim().to_owned())
    }

    /// The values for `$1` and so on of a call without records.
    pub(super) fn values<'a>(
        &'a self,
        parameters: Option<&'a Value>,
    ) -> Result<Vec<Box<RawValue>>, Failure> {
        let values = match parameters {
            None => &self.parameters,
            Some(Value::Array(values)) => values,
            Some(other) => match other.get("parameters") {
                Some(Value::Array(values)) => values,
                _ => return Err(Failure::configuration(WRONG_INPUT)),
            },
        };
        let raw = |value: &Value| {
            RawValue::from_string(value.to_string())
                .map_err(|error| Failure::internal(format!("a value cannot be told: {error}")))
        };
        values.iter().map(raw).collect()
    }
}

const WRONG_DSN: &str =
    "the address of the server is not one of the form `postgresql://user@host:port/database`";

const WRONG_INPUT: &str = "the input is neither a list of records nor an object with a list of \
                           values for `$1` and so on in `parameters`";

fn no_dsn() -> Failure {
    Failure::configuration(
        "there is no server to connect to: give `dsn`, or put an address such as \
         `postgresql://user:password@host:port/database` into a secret and name it in `dsn_secret`",
    )
}

fn parse(dsn: &str) -> Result<Config, Failure> {
    dsn.parse().map_err(|_| Failure::configuration(WRONG_DSN))
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["statement"],
        "additionalProperties": false,
        "properties": {
            "statement": {
                "type": "string",
                "minLength": 1,
                "description": "One SQL statement; values stand as $1, $2 and so on, with a cast \
                                where PostgreSQL cannot tell their type."
            },
            "dsn": {
                "type": "string",
                "description": "The server, without a password: postgresql://user@host:port/database."
            },
            "dsn_secret": {
                "type": "string",
                "description": "The secret that holds the whole address, password included. The one \
                                secret that the plugin was granted unless given."
            },
            "password_secret": {
                "type": "string",
                "description": "The secret that holds the password, beside `dsn`."
            },
            "ca_certificates": {
                "type": "string",
                "description": "With `sslmode=require` in the address: the authorities that may \
                                prove the server's name, in PEM; those of the system unless given."
            },
            "bind": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The fields of a record that stand for $1, $2 and so on. The \
                                statement runs once for each record."
            },
            "parameters": {
                "type": "array",
                "description": "The values for $1, $2 and so on of a call without records. Write \
                                decimals as texts: numbers of more than 15 digits are rounded."
            },
            "read_only": {
                "type": "boolean",
                "default": false,
                "description": "Whether the transaction may only read."
            },
            "transaction": {
                "type": "boolean",
                "default": true,
                "description": "Whether all of a call is one transaction, which is rolled back when \
                                the call fails. Some statements, such as VACUUM, cannot be in one."
            },
            "statement_timeout_ms": {
                "type": "integer",
                "minimum": 0,
                "maximum": 2_147_483_647,
                "default": 60000,
                "description": "How long the server works on one statement; 0 is without end."
            },
            "stream": {
                "type": "string",
                "minLength": 1,
                "default": "rows",
                "description": "The data stream of the rows."
            }
        }
    })
}
