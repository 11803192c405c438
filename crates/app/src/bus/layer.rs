//! The layers of both buses, and the handlers at their end.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use flexcore_api::{Command, Query};
use tower::Service;
use tracing::Instrument;

use super::{CommandMessage, HandleCommand, HandleQuery, Message, QueryMessage, RequestObserver};
use crate::{Services, UseCaseError, access::AuditTicket};

pub(super) type Answer<R> = Pin<Box<dyn Future<Output = Result<R, UseCaseError>> + Send>>;

/// The end of the stack: the handlers themselves.
#[derive(Clone)]
pub(super) struct Handlers {
    pub(super) services: Arc<Services>,
}

impl<C> Service<CommandMessage<C>> for Handlers
where
    C: Command,
    Services: HandleCommand<C>,
{
    type Response = C::Reply;
    type Error = UseCaseError;
    type Future = Answer<C::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: CommandMessage<C>) -> Self::Future {
        let services = Arc::clone(&self.services);
        Box::pin(async move { services.handle(&message.context, message.command).await })
    }
}

impl<Q> Service<QueryMessage<Q>> for Handlers
where
    Q: Query,
    Services: HandleQuery<Q>,
{
    type Response = Q::Reply;
    type Error = UseCaseError;
    type Future = Answer<Q::Reply>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: QueryMessage<Q>) -> Self::Future {
        let services = Arc::clone(&self.services);
        Box::pin(async move { services.answer(&message.context, message.query).await })
    }
}

/// Puts every request into a span and logs its error.
#[derive(Clone)]
pub(super) struct Traced<S>(pub(super) S);

impl<M, S> Service<M> for Traced<S>
where
    M: Message,
    S: Service<M, Response = M::Reply, Error = UseCaseError>,
    S::Future: Send + 'static,
{
    type Response = M::Reply;
    type Error = UseCaseError;
    type Future = Answer<M::Reply>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut message: M) -> Self::Future {
        let context = message.context_mut();
        let parent = context.trace;
        // What comes of the request happens under its span, wherever it happens.
        context.trace = parent.map(|parent| parent.child(M::NAME));
        let span = traced_span!(
            "request",
            context.trace,
            parent.map(|parent| parent.span()),
            otel.name = M::NAME,
            kind = M::KIND.as_str(),
            permission = M::PERMISSION,
            tenant = &*context.tenant,
            actor = &*context.actor,
            error.code = tracing::field::Empty,
        );
        let answer = self.0.call(message);
        let traced = async move {
            let answer = answer.await;
            if let Err(error) = &answer {
                tracing::Span::current().record("error.code", error.code());
                tracing::debug!(code = error.code(), %error, "request refused");
            }
            answer
        };
        Box::pin(traced.instrument(span))
    }
}

/// Tells an observer of every request.
#[derive(Clone)]
pub(super) struct Measured<S> {
    pub(super) inner: S,
    pub(super) observer: Arc<dyn RequestObserver>,
}

impl<M, S> Service<M> for Measured<S>
where
    M: Message,
    S: Service<M, Response = M::Reply, Error = UseCaseError>,
    S::Future: Send + 'static,
{
    type Response = M::Reply;
    type Error = UseCaseError;
    type Future = Answer<M::Reply>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, message: M) -> Self::Future {
        let observer = Arc::clone(&self.observer);
        let begin = Instant::now();
        let answer = self.inner.call(message);
        Box::pin(async move {
            let answer = answer.await;
            let error = answer.as_ref().err().map(UseCaseError::code);
            observer.answered(M::KIND, M::NAME, error, begin.elapsed());
            answer
        })
    }
}

/// Notes what became of every command. An append of the command notes that it was accepted; this
/// layer notes what ended without one.
#[derive(Clone)]
pub(super) struct Audited<S> {
    pub(super) inner: S,
    pub(super) services: Arc<Services>,
}

impl<C, S> Service<CommandMessage<C>> for Audited<S>
where
    C: Command,
    S: Service<CommandMessage<C>, Response = C::Reply, Error = UseCaseError>,
    S::Future: Send + 'static,
{
    type Response = C::Reply;
    type Error = UseCaseError;
    type Future = Answer<C::Reply>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut message: CommandMessage<C>) -> Self::Future {
        let ticket = Arc::new(AuditTicket::new(C::NAME));
        message.context.audit = Some(Arc::clone(&ticket));
        let context = message.context.clone();
        let services = Arc::clone(&self.services);
        let answer = self.inner.call(message);
        Box::pin(async move {
            match answer.await {
                Ok(reply) => {
                    services.note_end(&context, &ticket, None).await;
                    Ok(reply)
                }
                Err(error) => {
                    services.note_end(&context, &ticket, Some(&error)).await;
                    Err(error)
                }
            }
        })
    }
}

/// Refuses what the caller may not do, and notes that it was tried.
#[derive(Clone)]
pub(super) struct Authorised<S> {
    pub(super) inner: S,
    pub(super) services: Arc<Services>,
}

impl<M, S> Service<M> for Authorised<S>
where
    M: Message,
    S: Service<M, Response = M::Reply, Error = UseCaseError>,
    S::Future: Send + 'static,
{
    type Response = M::Reply;
    type Error = UseCaseError;
    type Future = Answer<M::Reply>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UseCaseError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, message: M) -> Self::Future {
        let context = message.context();
        if !context.may(M::PERMISSION) {
            let services = Arc::clone(&self.services);
            let context = context.clone();
            return Box::pin(async move {
                Err(services.forbidden(&context, M::NAME, M::PERMISSION).await)
            });
        }
        Box::pin(self.inner.call(message))
    }
}
