//! ListPluginCalls.

use std::time::Duration;

use async_trait::async_trait;
use flexcore_api::{ListPluginCalls, PluginCallList, PluginCallView};
use flexcore_domain::{
    CapabilityUse, Isolation, PluginCallId, PluginName,
    plugin::{PluginCallFailure, PluginEvent},
};

use super::error::not_registered;
use crate::{
    HandleQuery, RequestContext, Services, UseCaseError,
    execution::audit::{isolation_view, use_view},
    format_time,
    repository::decode,
    streams,
};

#[async_trait]
impl HandleQuery<ListPluginCalls> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: ListPluginCalls,
    ) -> Result<PluginCallList, UseCaseError> {
        let name: PluginName = query.name.parse().map_err(|_| not_registered(&query.name))?;
        let stream = streams::plugin(&context.tenant, &name);
        let recorded = self.history(&stream, 1).await?;
        let events = decode::<PluginEvent>(&stream, &recorded)?;
        let mut calls: Vec<PluginCallView> = Vec::new();
        for (event, recorded) in events.into_iter().zip(&recorded) {
            if let PluginEvent::ExecutionStarted { call, operation } = event {
                let started_at = format_time(recorded.event.occurred_at);
                calls.push(running(call, operation, started_at));
            } else {
                fold(&mut calls, event);
            }
        }
        calls.reverse();
        calls.truncate(query.limit);
        Ok(PluginCallList { items: calls })
    }
}

fn running(call: PluginCallId, operation: String, started_at: String) -> PluginCallView {
    PluginCallView {
        call: call.to_string(),
        operation,
        started_at,
        status: "running".to_owned(),
        duration_ms: None,
        records: None,
        code: None,
        error: None,
        isolation: None,
        uses: vec![],
    }
}

fn fold(calls: &mut [PluginCallView], event: PluginEvent) {
    match event {
        PluginEvent::CapabilityUsed { call, uses }
        | PluginEvent::CapabilityDenied { call, uses } => {
            let uses = uses.iter().map(|one: &CapabilityUse| use_view(one));
            find(calls, call, |view| view.uses.extend(uses));
        }
        PluginEvent::ExecutionCompleted { call, duration, records, isolation } => {
            find(calls, call, |view| {
                "completed".clone_into(&mut view.status);
                view.records = Some(records);
                end(view, duration, isolation.as_ref());
            });
        }
        PluginEvent::ExecutionFailed { call, duration, error, isolation } => {
            find(calls, call, |view| {
                let PluginCallFailure { code, message, cancelled, class: _ } = error;
                view.status = if cancelled { "cancelled" } else { "failed" }.to_owned();
                view.code = Some(code);
                view.error = Some(message);
                end(view, duration, isolation.as_ref());
            });
        }
        _ => {}
    }
}

/// Calls end soon after they began: the search begins at the end.
fn find(
    calls: &mut [PluginCallView],
    call: PluginCallId,
    change: impl FnOnce(&mut PluginCallView),
) {
    let id = call.to_string();
    if let Some(view) = calls.iter_mut().rev().find(|view| view.call == id) {
        change(view);
    }
}

fn end(view: &mut PluginCallView, duration: Duration, isolation: Option<&Isolation>) {
    view.duration_ms = Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    view.isolation = isolation.map(isolation_view);
}
