//! GetExecutionLogs.
//!
//! The cursor holds, for each attempt in the order in which they began, how far its log was read:
//! attempts that run at the same time grow beside each other.

use std::collections::BTreeSet;

use async_trait::async_trait;
use flexcore_api::{ExecutionLogLine, ExecutionLogPage, GetExecutionLogs, LogElsewhere};
use flexcore_domain::{ExecutionId, StepId, execution::ExecutionEvent};
use flexcore_ports::StorageError;

use crate::{
    HandleQuery, RequestContext, Services, UseCaseError, format_time, repository::decode, streams,
};

/// The most lines that are asked for at once.
const MAX_PAGE: usize = 10_000;

/// How many attempts a cursor may speak of.
const MAX_ATTEMPTS: usize = 100_000;

#[async_trait]
impl HandleQuery<GetExecutionLogs> for Services {
    async fn answer(
        &self,
        context: &RequestContext,
        query: GetExecutionLogs,
    ) -> Result<ExecutionLogPage, UseCaseError> {
        let id = self.resolve_execution(context, &query.execution).await?;
        let (execution, _) = self.get_execution(context, id).await?;
        if let Some(step) = &query.step
            && !execution.steps.keys().any(|known| known.as_str() == step)
        {
            return Err(UseCaseError::NotFound {
                what: "step",
                name: step.clone(),
                hint: Some(format!("`flexcore execution show {id}` lists its steps")),
            });
        }
        let wanted = |(step, attempt): &(StepId, u32)| {
            query.step.as_ref().is_none_or(|name| name == step.as_str())
                && query.attempt.is_none_or(|number| number == *attempt)
        };
        // Asked before the logs: nothing is added to what had ended by now.
        let status = execution.status.as_str().to_owned();
        let here = self.ports.logs.attempts(id).await.map_err(|error| unreadable(&error))?;
        let elsewhere = self.ran_elsewhere(context, id, &here).await?;
        let elsewhere = elsewhere
            .into_iter()
            .filter(|(attempt, _)| wanted(attempt))
            .map(|((step, attempt), node)| LogElsewhere { step: step.to_string(), attempt, node })
            .collect();
        let mut page = Reading::after(query.after.as_deref(), here.len())?;
        for (index, attempt) in here.iter().enumerate().filter(|(_, attempt)| wanted(attempt)) {
            if page.lines.len() >= query.limit.clamp(1, MAX_PAGE) {
                page.more = true;
                break;
            }
            self.read_on(&mut page, (id, index), attempt, query.limit.clamp(1, MAX_PAGE)).await?;
        }
        let next = page.cursor();
        let Reading { lines, more, .. } = page;
        let execution = id.to_string();
        Ok(ExecutionLogPage { execution, status, items: lines, next, more, elsewhere })
    }
}

/// Lines that were read, and how far.
struct Reading {
    offsets: Vec<u64>,
    lines: Vec<ExecutionLogLine>,
    more: bool,
}

impl Reading {
    fn after(cursor: Option<&str>, attempts: usize) -> Result<Self, UseCaseError> {
        let mut offsets = Vec::new();
        for part in cursor.unwrap_or_default().split(',').filter(|part| !part.is_empty()) {
            let offset = part.parse().ok().filter(|_| offsets.len() < MAX_ATTEMPTS);
            offsets.push(offset.ok_or_else(|| {
                UseCaseError::invalid("`after` is not what a page of logs gave as `next`")
            })?);
        }
        let length = offsets.len().max(attempts);
        offsets.resize(length, 0);
        Ok(Self { offsets, lines: Vec::new(), more: false })
    }

    fn cursor(&self) -> String {
        let offsets: Vec<String> = self.offsets.iter().map(u64::to_string).collect();
        offsets.join(",")
    }
}

impl Services {
    /// Reads the log of one attempt on, until there is nothing new or the page is full.
    async fn read_on(
        &self,
        page: &mut Reading,
        (id, index): (ExecutionId, usize),
        (step, attempt): &(StepId, u32),
        limit: usize,
    ) -> Result<(), UseCaseError> {
        loop {
            let offset = page.offsets[index];
            let read = self.ports.logs.read(id, step, *attempt, offset).await;
            let (lines, next) = read.map_err(|error| unreadable(&error))?;
            page.offsets[index] = next;
            if lines.is_empty() {
                return Ok(());
            }
            page.lines.extend(lines.into_iter().map(|line| ExecutionLogLine {
                step: step.to_string(),
                attempt: *attempt,
                time: format_time(line.time),
                source: line.source,
                line: line.line,
            }));
            if page.lines.len() >= limit {
                page.more = true;
                return Ok(());
            }
        }
    }

    /// The attempts that began and have no log here, with the node that ran each.
    async fn ran_elsewhere(
        &self,
        context: &RequestContext,
        id: ExecutionId,
        here: &[(StepId, u32)],
    ) -> Result<Vec<((StepId, u32), String)>, UseCaseError> {
        let here: BTreeSet<&(StepId, u32)> = here.iter().collect();
        let stream = streams::execution(&context.tenant, id);
        let recorded = self.history(&stream, 1).await?;
        let (mut owner, mut elsewhere) = (String::new(), Vec::new());
        for event in decode::<ExecutionEvent>(&stream, &recorded)? {
            match event {
                ExecutionEvent::Claimed { node, .. } => owner = node,
                ExecutionEvent::StepStarted { step, attempt, .. } => {
                    let attempt = (step, attempt);
                    if !here.contains(&attempt) {
                        elsewhere.push((attempt, owner.clone()));
                    }
                }
                _ => {}
            }
        }
        Ok(elsewhere)
    }
}

fn unreadable(error: &StorageError) -> UseCaseError {
    UseCaseError::Refused {
        message: error.to_string(),
        hint: Some("what its steps wrote lies in the state folder, under `logs`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_grows_with_the_attempts() {
        let first = Reading::after(None, 2).unwrap();
        assert_eq!(first.cursor(), "0,0");
        let later = Reading::after(Some("7,120"), 3).unwrap();
        assert_eq!(later.cursor(), "7,120,0");
        for wrong in ["x", "1,-2", "1;2", "99999999999999999999999"] {
            assert!(Reading::after(Some(wrong), 1).is_err(), "{wrong}");
        }
    }
}
