//! Calls plugins that are services at an address: HTTP with JSON, as `docs/plugins/http-services.md`
//! says it.
//!
//! ```text
//! grants ─▶ secrets ─▶ connection ─▶ request ─▶ answer within deadlines and sizes ─▶ output, uses
//! ```
//!
//! A service runs where FlexCore can hold nothing, and what held it is recorded as that: remote. What
//! can be held is the way to it. Its address must be granted like any other, and so must the secrets
//! with which FlexCore shows who it is; nothing is sent to another address, whatever the service
//! answers; and each answer has an end in time and in size.
//!
//! # What it must not know
//!
//! Retries, circuits, events: each method asks once and says what came of it.
//!
//! # How to add a request
//!
//! A method of the port, its path in `host`, its answer in `answer`, and both in
//! `docs/plugins/http-services.md`.

mod answer;
mod client;
mod exchange;
mod fault;
mod host;
mod options;
mod output;
mod problem;
mod rights;
mod trace;

pub use host::HttpHost;
pub use options::HttpOptions;
