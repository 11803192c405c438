//! A plugin of FlexCore: greets everybody whose record comes in.

use std::process::ExitCode;

use flexcore_plugin_sdk::{
    Call, Failure, Plugin, PluginInfo, PluginType, Records, Setup, Sink, serve,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

struct Greeter;

/// The settings, as `config_schema` describes them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    greeting: String,
}

/// What is read of a record; other fields are left alone.
#[derive(Debug, Deserialize)]
struct Person {
    name: String,
}

/// A record of the data stream `greetings`.
#[derive(Debug, Serialize)]
struct Greeting {
    text: String,
}

impl Plugin for Greeter {
    type Session = Settings;

    fn info(&self) -> PluginInfo {
        PluginInfo::new("my-plugin", env!("CARGO_PKG_VERSION"), PluginType::Transformer).stateless()
    }

    fn config_schema(&self) -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["greeting"],
            "additionalProperties": false,
            "properties": {
                "greeting": {
                    "type": "string",
                    "minLength": 1,
                    "description": "What everybody is greeted with."
                }
            }
        })
    }

    async fn initialize(&self, setup: Setup) -> Result<Settings, Failure> {
        setup.config()
    }

    async fn execute(
        &self,
        settings: &Settings,
        _call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Value, Failure> {
        while let Some(record) = records.next().await? {
            let person: Person = record.parse()?;
            let text = format!("{}, {}!", settings.greeting, person.name);
            sink.send("greetings", &Greeting { text }).await?;
        }
        Ok(json!({"greeted": records.taken()}))
    }
}

fn main() -> ExitCode {
    serve(Greeter)
}
