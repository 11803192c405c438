//! A plugin that does what its tests ask, well or badly.

use std::process::ExitCode;

use flexcore_plugin_sdk::{
    Call, DataStream, Failure, LogLevel, Plugin, PluginInfo, PluginType, Problem, Records, Setup,
    Sink, serve,
};
use serde_json::{Value, json};

struct Author;

struct Session {
    config: Value,
    secret: Option<usize>,
}

impl Plugin for Author {
    type Session = Session;

    fn info(&self) -> PluginInfo {
        PluginInfo::new("author", "1.2.3", PluginType::Processor).stateless().concurrent(4)
    }

    fn config_schema(&self) -> Value {
        json!({"type": "object", "properties": {"greeting": {"type": "string"}}})
    }

    async fn data_streams(&self, _config: &Value) -> Result<Vec<DataStream>, Failure> {
        Ok(vec![DataStream {
            name: "numbers".to_owned(),
            schema: json!({"type": "object"}),
            key_properties: vec!["n".to_owned()],
        }])
    }

    async fn validate(&self, config: &Value) -> Vec<Problem> {
        match config.get("greeting") {
            Some(greeting) if !greeting.is_string() => {
                vec![Problem::new("/greeting", "is a text")]
            }
            Some(greeting) if greeting == "" => vec![Problem::warning("/greeting", "is empty")],
            _ => vec![],
        }
    }

    async fn initialize(&self, setup: Setup) -> Result<Session, Failure> {
        if setup.config.get("needs_secret").is_some() {
            setup.secret("token")?;
        }
        let secret = setup.secrets.get("token").map(|secret| secret.bytes().len());
        Ok(Session { config: setup.config, secret })
    }

    #[expect(clippy::panic, reason = "what becomes of a panic is tested")]
    async fn execute(
        &self,
        session: &Session,
        call: &Call,
        records: &mut Records,
        sink: &mut Sink,
    ) -> Result<Value, Failure> {
        match call.operation.as_str() {
            "about" => Ok(json!({
                "config": session.config,
                "secret": session.secret,
                "attempt": call.attempt,
                "parameters": call.parameters,
                "bookmark": call.bookmark.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
            })),
            "count" => {
                let count = call.parameters["count"].as_u64().unwrap_or_default();
                for n in 0..count {
                    sink.send("numbers", &json!({"n": n})).await?;
                }
                sink.log(LogLevel::Info, "counted");
                sink.bookmark(&json!({"upto": count})).await?;
                Ok(json!(count))
            }
            "fail" => Err(Failure::network("the other side is away")),
            "panic" => panic!("on purpose"),
            "wait" => {
                sink.send("numbers", &json!({"n": 0})).await?;
                call.cancelled().await;
                Err(Failure::cancelled("as you wish"))
            }
            "hang" => std::future::pending().await,
            "no object" => sink.send("numbers", &json!([1])).await.map(|()| Value::Null),
            "pretty" => {
                sink.send_json("numbers", "{\n  \"n\": 1.10000000000000000001\n}").await?;
                Ok(Value::Null)
            }
            _ => {
                while let Some(record) = records.next().await? {
                    record.raw()?;
                    sink.pass_on("echo", &record).await?;
                }
                Ok(json!({"records": records.taken()}))
            }
        }
    }

    async fn health(&self, session: Option<&Session>) -> Result<(), String> {
        session.map(|_| ()).ok_or_else(|| "not initialized".to_owned())
    }
}

fn main() -> ExitCode {
    serve(Author)
}
