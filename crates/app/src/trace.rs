//! The places of this application's work in traces.
//!
//! ```text
//! request of a face ─▶ command ─▶ "execution ID" (accepted) ─▶ "execution" of each owner ─▶ "step" ─▶ plugin
//! ```
//!
//! The trace of an execution is named by the correlation of its first event, which is the trace of
//! the request that created it; without one, by its own id. Span ids are derived from names, so
//! that every owner of an execution, on any node, goes on in the same trace under the same parent.

use flexcore_domain::ExecutionId;
use flexcore_ports::{TraceContext, TraceId};
use uuid::Uuid;

use crate::{RequestContext, Services, UseCaseError, streams};

/// A span with its place in a trace, in the fields that exporters and logs look for.
macro_rules! traced_span {
    ($name:literal, $trace:expr, $parent:expr, $($fields:tt)*) => {{
        let trace: Option<flexcore_ports::TraceContext> = $trace;
        let parent: Option<flexcore_ports::SpanId> = $parent;
        tracing::info_span!(
            $name,
            trace_id = trace.map(|trace| tracing::field::display(trace.trace())),
            span_id = trace.map(|trace| tracing::field::display(trace.span())),
            parent_id = parent.map(tracing::field::display),
            sampled = trace.map(|trace| trace.is_sampled()),
            $($fields)*
        )
    }};
}

impl Services {
    /// The span under which everything happens that an execution does: the one in which it was
    /// accepted.
    pub(crate) fn trace_of_execution(
        &self,
        correlation: Option<Uuid>,
        execution: ExecutionId,
    ) -> Option<TraceContext> {
        let trace = TraceId::of(correlation.unwrap_or(execution.0))?;
        let name = format!("execution/{execution}");
        Some(TraceContext::root(trace, &name, self.sampler.samples(trace)))
    }

    /// The span in which an execution is accepted that is part of this context's work.
    pub(crate) fn acceptance(
        &self,
        context: &RequestContext,
        execution: ExecutionId,
    ) -> tracing::Span {
        let accepted = self.trace_of_execution(context.correlation, execution);
        let is_same = |parent: &TraceContext| {
            accepted.is_some_and(|accepted| accepted.trace() == parent.trace())
        };
        let parent = context.trace.filter(is_same).map(|parent| parent.span());
        // Without a request that began the trace there is nothing that it could hang from.
        let accepted = accepted.filter(|_| context.correlation.is_some());
        traced_span!("accept execution", accepted, parent, otel.kind = "producer", %execution)
    }

    /// The same context, in the trace of an execution and correlated with what created it.
    pub(crate) async fn in_its_trace(
        &self,
        context: &RequestContext,
        execution: ExecutionId,
    ) -> Result<RequestContext, UseCaseError> {
        let stream = streams::execution(&context.tenant, execution);
        let first = self.ports.store.read_stream(&stream, 1, 1).await?;
        let said = first.first().and_then(|event| event.event.context.correlation);
        let correlation = said.or(context.correlation);
        let trace = self.trace_of_execution(correlation, execution);
        Ok(RequestContext { correlation, trace, ..context.clone() })
    }
}
