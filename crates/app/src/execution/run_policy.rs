//! What `run` does beside executions of the same pipeline that are there already.

use std::sync::Arc;

use flexcore_domain::{ExecutionId, PipelineName};
use flexcore_ports::{ExecutionFilter, ExecutionRow, Page};

use crate::{RequestContext, Services, UseCaseError, projection::View};

/// How many unfinished executions are looked at in one go.
const PAGE: usize = 50;

/// What a caller wants to happen beside an unfinished execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunPolicy {
    /// A new execution, unless an interrupted one is there.
    Refuse,
    /// Go on with an interrupted execution, else a new one.
    ResumeOrStart,
    /// Look at the newest execution: go on with it, or say how it ended.
    Resume,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunDecision {
    /// Begin a new execution.
    Start,
    /// Go on with this one.
    Resume(ExecutionId),
    /// Nothing: the newest execution completed.
    Completed(ExecutionId),
    /// The newest execution failed or was cancelled: it takes a `retry`.
    NeedsRetry {
        /// The execution.
        execution: ExecutionId,
        /// `failed` or `cancelled`.
        status: String,
    },
    /// An interrupted execution is there and the caller has to say what becomes of it.
    Refused(Unfinished),
}

/// An execution without a live owner that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The execution.
    pub execution: ExecutionId,
    /// `queued` or `running`.
    pub status: String,
}

impl Services {
    /// Decides what a run of `pipeline` means now. An execution that is not at its end and whose
    /// lease nobody holds is interrupted; one that another process drives stands in nobody's way.
    ///
    /// # Errors
    /// [`UseCaseError`] if the views cannot be read, or leases not be asked for.
    pub async fn decide_run(
        &self,
        context: &RequestContext,
        pipeline: &PipelineName,
        policy: RunPolicy,
    ) -> Result<RunDecision, UseCaseError> {
        self.up_to_date(View::Executions).await?;
        if policy == RunPolicy::Resume {
            let page = self.executions_of(context, pipeline, &[], 1, None).await?;
            return Ok(page.items.into_iter().next().map_or(RunDecision::Start, resume));
        }
        let Some(row) = self.newest_interrupted(context, pipeline).await? else {
            return Ok(RunDecision::Start);
        };
        Ok(match policy {
            RunPolicy::ResumeOrStart => RunDecision::Resume(row.id),
            _ => RunDecision::Refused(Unfinished { execution: row.id, status: row.status }),
        })
    }

    async fn newest_interrupted(
        &self,
        context: &RequestContext,
        pipeline: &PipelineName,
    ) -> Result<Option<ExecutionRow>, UseCaseError> {
        let unfinished = ["queued", "running"];
        let mut next = None;
        loop {
            let page =
                self.executions_of(context, pipeline, &unfinished, PAGE, next.as_deref()).await?;
            for row in page.items {
                if self.is_interrupted(context, row.id).await? {
                    return Ok(Some(row));
                }
            }
            if page.next.is_none() {
                return Ok(None);
            }
            next = page.next;
        }
    }

    /// An owner records the end before it gives its lease back, so the log is asked after the lease:
    /// the view may be older than both.
    async fn is_interrupted(
        &self,
        context: &RequestContext,
        id: ExecutionId,
    ) -> Result<bool, UseCaseError> {
        if self.live_owner(id).await?.is_some() {
            return Ok(false);
        }
        let (execution, _) = self.get_execution(context, id).await?;
        Ok(!execution.status.has_ended())
    }

    async fn executions_of(
        &self,
        context: &RequestContext,
        pipeline: &PipelineName,
        statuses: &[&str],
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page<ExecutionRow>, UseCaseError> {
        let filter = ExecutionFilter {
            pipeline: Some(pipeline.clone()),
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            ..ExecutionFilter::of(Arc::clone(&context.tenant))
        };
        Ok(self.ports.views.list_executions(&filter, limit, after).await?)
    }
}

fn resume(newest: ExecutionRow) -> RunDecision {
    match newest.status.as_str() {
        "completed" => RunDecision::Completed(newest.id),
        "failed" | "cancelled" => {
            RunDecision::NeedsRetry { execution: newest.id, status: newest.status }
        }
        _ => RunDecision::Resume(newest.id),
    }
}
