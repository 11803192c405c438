//! What `run` does beside executions of the same pipeline that are there already.

use flexcore_domain::{ExecutionId, PipelineName};
use flexcore_ports::{ExecutionFilter, ExecutionRow};

use crate::{Services, UseCaseError};

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
    /// Decides what a run of `pipeline` means now. The caller holds the store: whatever is not at
    /// its end has no live owner.
    ///
    /// # Errors
    /// [`UseCaseError`] if the views cannot be read.
    pub async fn decide_run(
        &self,
        pipeline: &PipelineName,
        policy: RunPolicy,
    ) -> Result<RunDecision, UseCaseError> {
        self.catch_up().await?;
        if policy == RunPolicy::Resume {
            let newest = self.newest_execution(pipeline, &[]).await?;
            return Ok(newest.map_or(RunDecision::Start, resume));
        }
        let unfinished = ["queued", "running"];
        let Some(row) = self.newest_execution(pipeline, &unfinished).await? else {
            return Ok(RunDecision::Start);
        };
        Ok(match policy {
            RunPolicy::ResumeOrStart => RunDecision::Resume(row.id),
            _ => RunDecision::Refused(Unfinished { execution: row.id, status: row.status }),
        })
    }

    async fn newest_execution(
        &self,
        pipeline: &PipelineName,
        statuses: &[&str],
    ) -> Result<Option<ExecutionRow>, UseCaseError> {
        let filter = ExecutionFilter {
            pipeline: Some(pipeline.clone()),
            statuses: statuses.iter().map(|status| (*status).to_owned()).collect(),
            ..ExecutionFilter::default()
        };
        let page = self.ports.views.list_executions(&filter, 1, None).await?;
        Ok(page.items.into_iter().next())
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
