//! The command bus and the query bus: typed at compile time, layered with tower.
//!
//! From the outside in: trace, metrics, audit, permission, idempotency, handler. Each layer sees every
//! request with its name, its permission and its context, so that no face can forget one.

mod idempotency;
mod layer;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use flexcore_api::{Command, Query};
use flexcore_ports::StoreError;
use tower::ServiceExt;
use tracing::Instrument as _;

use crate::{RequestContext, Services, UseCaseError};
use idempotency::Serialised;
use layer::{Audited, Authorised, Handlers, Measured, Traced};

/// Carries out one kind of command.
#[async_trait]
pub trait HandleCommand<C: Command> {
    /// Loads, decides, appends; the reply is true once the append is durable.
    ///
    /// # Errors
    /// [`UseCaseError`].
    async fn handle(&self, context: &RequestContext, command: C) -> Result<C::Reply, UseCaseError>;
}

/// Answers one kind of query.
#[async_trait]
pub trait HandleQuery<Q: Query> {
    /// Reads; changes nothing.
    ///
    /// # Errors
    /// [`UseCaseError`].
    async fn answer(&self, context: &RequestContext, query: Q) -> Result<Q::Reply, UseCaseError>;
}

/// Whether a request changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// It may.
    Command,
    /// It does not.
    Query,
}

impl RequestKind {
    /// Its word in traces and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Query => "query",
        }
    }
}

/// Hears of every request that was answered; the place for metrics.
pub trait RequestObserver: Send + Sync {
    /// A request was answered after `elapsed`; `error` is the code of its error, if it had one.
    fn answered(
        &self,
        kind: RequestKind,
        name: &'static str,
        error: Option<&'static str>,
        elapsed: Duration,
    );
}

/// An observer that does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl RequestObserver for Unobserved {
    fn answered(&self, _: RequestKind, _: &'static str, _: Option<&'static str>, _: Duration) {}
}

/// A command or query on its way through the layers.
pub(crate) trait Message: Send + 'static {
    type Reply: Send + 'static;
    const KIND: RequestKind;
    const NAME: &'static str;
    const PERMISSION: &'static str;

    fn context(&self) -> &RequestContext;
    fn context_mut(&mut self) -> &mut RequestContext;
    fn idempotency_key(&self) -> Option<&str>;
}

pub(crate) struct CommandMessage<C> {
    pub(crate) context: RequestContext,
    pub(crate) command: C,
}

pub(crate) struct QueryMessage<Q> {
    pub(crate) context: RequestContext,
    pub(crate) query: Q,
}

impl<C: Command> Message for CommandMessage<C> {
    type Reply = C::Reply;
    const KIND: RequestKind = RequestKind::Command;
    const NAME: &'static str = C::NAME;
    const PERMISSION: &'static str = C::PERMISSION;

    fn context(&self) -> &RequestContext {
        &self.context
    }

    fn context_mut(&mut self) -> &mut RequestContext {
        &mut self.context
    }

    fn idempotency_key(&self) -> Option<&str> {
        self.command.idempotency_key()
    }
}

impl<Q: Query> Message for QueryMessage<Q> {
    type Reply = Q::Reply;
    const KIND: RequestKind = RequestKind::Query;
    const NAME: &'static str = Q::NAME;
    const PERMISSION: &'static str = Q::PERMISSION;

    fn context(&self) -> &RequestContext {
        &self.context
    }

    fn context_mut(&mut self) -> &mut RequestContext {
        &mut self.context
    }

    fn idempotency_key(&self) -> Option<&str> {
        None
    }
}

/// Takes commands.
#[derive(Clone)]
pub struct CommandBus {
    stack: Traced<Measured<Audited<Authorised<Serialised<Handlers>>>>>,
}

impl CommandBus {
    /// A bus over these services.
    pub fn new(services: Arc<Services>, observer: Arc<dyn RequestObserver>) -> Self {
        let handlers = Handlers { services: Arc::clone(&services) };
        let inner = Serialised::new(handlers);
        let inner = Authorised { inner, services: Arc::clone(&services) };
        let inner = Audited { inner, services };
        Self { stack: Traced(Measured { inner, observer }) }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// [`UseCaseError`], as its handler says.
    pub async fn execute<C: Command>(
        &self,
        context: &RequestContext,
        command: C,
    ) -> Result<C::Reply, UseCaseError>
    where
        Services: HandleCommand<C>,
    {
        let message = CommandMessage { context: context.clone(), command };
        let carried_out = self.stack.clone().oneshot(message).in_current_span();
        // A caller who leaves does not leave a command half done.
        match tokio::spawn(carried_out).await {
            Ok(answer) => answer,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Unavailable("this process ends".to_owned()).into()),
            },
        }
    }
}

/// Takes queries.
#[derive(Clone)]
pub struct QueryBus {
    stack: Traced<Measured<Authorised<Handlers>>>,
}

impl QueryBus {
    /// A bus over these services.
    pub fn new(services: Arc<Services>, observer: Arc<dyn RequestObserver>) -> Self {
        let inner = Handlers { services: Arc::clone(&services) };
        let inner = Authorised { inner, services };
        Self { stack: Traced(Measured { inner, observer }) }
    }

    /// Answers a query.
    ///
    /// # Errors
    /// [`UseCaseError`], as its handler says.
    pub async fn ask<Q: Query>(
        &self,
        context: &RequestContext,
        query: Q,
    ) -> Result<Q::Reply, UseCaseError>
    where
        Services: HandleQuery<Q>,
    {
        let message = QueryMessage { context: context.clone(), query };
        self.stack.clone().oneshot(message).await
    }
}

impl std::fmt::Debug for CommandBus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CommandBus").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for QueryBus {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("QueryBus").finish_non_exhaustive()
    }
}
