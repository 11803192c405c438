//! A client of a FlexCore server: typed requests, retries where they are safe, live streams.
//!
//! Every command and query is a type of `flexcore-api`, which also says where REST has it; the
//! client needs nothing else, so a new use case can be asked for as soon as its type exists.
//!
//! ```no_run
//! use flexcore_api::{ExecutePipeline, GetExecution};
//! use flexcore_client::{ApiKey, Client, ClientOptions, Watch};
//!
//! # async fn example() -> Result<(), flexcore_client::ClientError> {
//! let mut options = ClientOptions::new("https://flexcore.example.org");
//! options.key = ApiKey::parse("flx_…");
//! let client = Client::new(options)?;
//!
//! let request = ExecutePipeline {
//!     pipeline: "flights".to_owned(),
//!     // Under a key it happens once, however often it is sent: so the client may send it again.
//!     run_key: Some("2026-11-21".to_owned()),
//!     ..ExecutePipeline::default()
//! };
//! let accepted = client.command(&request).await?;
//!
//! // Every event of the execution from its beginning, over broken connections too.
//! let mut events = client.watch(Watch::execution(&accepted.execution).after(0));
//! while let Some(event) = events.next().await? {
//!     println!("{} {}", event.position, event.type_name);
//!     if event.type_name == "PipelineExecutionCompleted" {
//!         break;
//!     }
//! }
//! let view = client.query(&GetExecution { execution: accepted.execution }).await?;
//! assert_eq!(view.status, "completed");
//! # Ok(())
//! # }
//! ```
//!
//! # What it sends again
//!
//! Queries, and commands with an idempotency key: after a broken connection, a timeout, or an
//! answer that says "later". Other commands only if they certainly did not arrive.
//!
//! # What this crate must not know
//!
//! How anything is done: it depends on the request types alone.

mod call;
mod client;
mod error;
mod key;
mod live;
mod options;
mod retry;
mod sse;
mod tls;

pub use client::Client;
pub use error::{ClientError, Problem};
pub use key::ApiKey;
pub use live::{EventStream, Watch};
pub use options::{ClientOptions, ClientTls};
