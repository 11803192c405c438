//! For authors: a process plugin for FlexCore in Rust.
//!
//! Implement [`Plugin`], call [`serve`] in `main`, and put a `plugin.toml` beside the program.
//! The SDK does the rest: the handshake of HashiCorp's go-plugin, the gRPC services, the flow of
//! records in both directions within each side's credit, checksums, cancelling, panics, the end.
//!
//! A whole plugin, which greets everybody who comes in:
//!
//! ```no_run
//! use flexcore_plugin_sdk::{
//!     Call, Failure, Plugin, PluginInfo, PluginType, Records, Setup, Sink, serve,
//! };
//! use serde::{Deserialize, Serialize};
//! use serde_json::{Value, json};
//!
//! struct Greeter;
//!
//! #[derive(Deserialize)]
//! struct Settings {
//!     greeting: String,
//! }
//!
//! #[derive(Deserialize)]
//! struct Person {
//!     name: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Greeting<'a> {
//!     text: &'a str,
//! }
//!
//! impl Plugin for Greeter {
//!     type Session = Settings;
//!
//!     fn info(&self) -> PluginInfo {
//!         PluginInfo::new("greeter", "0.1.0", PluginType::Transformer).stateless()
//!     }
//!
//!     fn config_schema(&self) -> Value {
//!         json!({
//!             "type": "object",
//!             "required": ["greeting"],
//!             "additionalProperties": false,
//!             "properties": {"greeting": {"type": "string", "minLength": 1}},
//!         })
//!     }
//!
//!     async fn initialize(&self, setup: Setup) -> Result<Settings, Failure> {
//!         setup.config()
//!     }
//!
//!     async fn execute(
//!         &self,
//!         settings: &Settings,
//!         _call: &Call,
//!         records: &mut Records,
//!         sink: &mut Sink,
//!     ) -> Result<Value, Failure> {
//!         while let Some(record) = records.next().await? {
//!             let person: Person = record.parse()?;
//!             let text = format!("{}, {}!", settings.greeting, person.name);
//!             sink.send("greetings", &Greeting { text: &text }).await?;
//!         }
//!         Ok(json!({"greeted": records.taken()}))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     serve(Greeter)
//! }
//! ```
//!
//! # What this crate must not know
//!
//! The host's side: pools, jails, what becomes of a failure. It speaks the protocol of
//! `flexcore-plugin-protocol` and nothing else of FlexCore's.
//!
//! # How to add the usual next thing
//!
//! * Something that authors can say or ask: a method with a default in [`Plugin`], or on [`Call`],
//!   [`Records`] or [`Sink`]; then its message in `service.rs`.
//! * A message of an execution: the protocol first (`plugin.proto`, additive), then `exchange`.
//! * A service that hosts of go-plugin ask for: `goplugin.rs`, and its name in `dispatch.rs`.

mod blocking;
mod call;
pub mod conformance;
mod dispatch;
mod ending;
mod environment;
mod exchange;
mod execution;
mod failure;
mod goplugin;
pub mod grpc;
mod plugin;
mod record;
mod records;
mod secret;
mod server;
mod service;
mod sink;
pub mod testing;

pub use blocking::blocking;
pub use call::Call;
pub use failure::{Failure, FailureClass};
pub use plugin::{DataStream, Plugin, PluginInfo, PluginType, Problem, Setup};
pub use record::Record;
pub use records::Records;
pub use secret::Secret;
pub use server::{Server, serve};
pub use sink::{LogLevel, Sink};
