//! What a call is about.

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Failure, exchange::Exchange};

/// What the host asks for.
#[derive(Debug, Clone)]
pub struct Call {
    /// The id of the execution.
    pub execution_id: String,
    /// The id of the step.
    pub step_id: String,
    /// Which try of the step this is, from 1.
    pub attempt: u32,
    /// The same for every try of the same work, so that a plugin can see what it did already; empty
    /// where there is none.
    pub idempotency_key: String,
    /// What to do, where the plugin can do several things; empty for the usual one.
    pub operation: String,
    /// The parameters, a JSON value; an empty object if none were given.
    pub parameters: Value,
    /// What [`Sink::bookmark`](crate::Sink::bookmark) kept at the last completed call, a JSON text.
    pub bookmark: Option<String>,
    /// How long the call may take; the host ends it then.
    pub timeout: Option<Duration>,
    /// The span of the call in the form of the header `traceparent` (W3C Trace Context), if it is
    /// part of a trace.
    pub traceparent: Option<String>,
    pub(crate) exchange: Arc<Exchange>,
}

impl Call {
    /// The parameters as a type of the author's.
    ///
    /// # Errors
    /// A [`Failure`] of class configuration that says what is wrong with them.
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        T::deserialize(&self.parameters)
            .map_err(|error| Failure::configuration(format!("the input is wrong: {error}")))
    }

    /// Whether the host asked to stop. Taking and sending records fails then by itself, so only
    /// long work in between has to ask.
    pub fn is_cancelled(&self) -> bool {
        self.exchange.cancelled().is_some()
    }

    /// Waits until the host asks to stop.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|context| self.exchange.poll_cancelled(context)).await;
    }
}
