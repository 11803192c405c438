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
use crate::{Services, UseCaseError};

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

/// Refuses what the caller may not do.
#[derive(Clone)]
pub(super) struct Authorised<S>(pub(super) S);

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
        self.0.poll_ready(cx)
    }

    fn call(&mut self, message: M) -> Self::Future {
        let context = message.context();
        if !context.permissions.allow(M::PERMISSION) {
            let actor = context.actor.to_string();
            let (request, permission) = (M::NAME, M::PERMISSION);
            tracing::warn!(tenant = &*context.tenant, actor, request, permission, "refused");
            let error = UseCaseError::Forbidden { actor, request, permission };
            return Box::pin(std::future::ready(Err(error)));
        }
        Box::pin(self.0.call(message))
    }
}
