//! REST and live streams: a request becomes a command or a query, its reply a response.
//!
//! ```text
//! connection ─▶ request id ▸ Host and Origin ▸ who asks ▸ rate ─▶ route ─▶ bus ─▶ JSON
//! ```
//!
//! There is no list of routes here: each request type of [`flexcore_api`] says where REST has it
//! ([`Route`](flexcore_api::Route)), and which permission it needs, which the bus checks. From the
//! same lists come the requests by name (`POST commands`, `POST queries`) and the OpenAPI
//! description.
//!
//! A field of a request comes from the path, the query or the JSON body. Bodies are not parsed into
//! values on the way, so that numbers keep their digits.
//!
//! # What this crate must not know
//!
//! Use cases, stores, and how a process is wired or ends: it is handed the buses, who may ask and a
//! listener.
//!
//! # How to add a route
//!
//! Give the request type its `ROUTE`. What is no request, such as a live stream or a health check,
//! is a file here and a line in [`router()`].

mod access;
mod body;
mod cors;
mod docs;
mod fields;
mod frame;
mod health;
mod live;
mod observe;
mod openapi;
mod operation;
mod options;
mod peer;
mod problem;
mod rate;
mod rest;
mod router;
mod server;
mod state;
mod tls;

pub use access::{Authenticate, Caller, Credentials, Hosts, LocalToken, Refusal};
pub use axum::Router;
pub use health::{Check, Health, HealthChecks};
pub use observe::{MetricsPage, Observation};
pub use openapi::openapi;
pub use options::RequestOptions;
pub use peer::PeerCertificate;
pub use rate::Rate;
pub use router::{open_router, router};
pub use server::{Server, ServerOptions};
pub use state::Api;
pub use tls::{ClientCertificates, Tls, TlsError, TlsFiles};

/// Where the interface begins.
pub const ROOT: &str = "/api/v1/flexcore";
