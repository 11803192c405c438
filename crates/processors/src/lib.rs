//! First-party plugins: JSON transformer, data validator, PostgreSQL processor.
//!
//! They are process plugins like any other, made with `flexcore-plugin-sdk`. The binary serves
//! them by a hidden subcommand, so they need no file of their own: [`manifest_text`] is the
//! manifest of one as the given executable serves it.
//!
//! * `json-transform` ([`JsonTransform`]): a jq program over each record, or over all of them.
//! * `data-validator` ([`DataValidator`]): records that fit a JSON Schema go on, others are put
//!   aside with the reasons.
//! * `postgres-processor` ([`PostgresProcessor`]): runs an SQL statement; rows are records.
//!
//! What each setting means is said once, in the JSON Schema of its settings ([`config_schema`]).
//!
//! # What this crate must not know
//!
//! Jails, pools and who calls: only the SDK's side of the protocol.
//!
//! # How to add the usual next thing
//!
//! A plugin: a file with a type that implements `flexcore_plugin_sdk::Plugin`, an arm in
//! `registry.rs`, a section in `docs/plugins/first-party.md`.

mod data_validator;
mod json_transform;
mod lines;
mod manifest;
mod postgres;
mod registry;

pub use data_validator::DataValidator;
pub use json_transform::JsonTransform;
pub use manifest::{Asks, manifest_text, manifest_text_with};
pub use postgres::PostgresProcessor;
pub use registry::{config_schema, description, names, serve};
