//! Which fact may follow which: the fold of an execution.

use flexcore_eventsourcing::{IllegalEvent, Timestamp};

use super::{
    Epoch, Execution, ExecutionEvent, ExecutionStatus, FailureReason, StepId, StepProgress,
    StepState,
};

/// The state after the first event of the stream.
pub(super) fn create(event: &ExecutionEvent) -> Result<Execution, IllegalEvent> {
    let ExecutionEvent::Created(order) = event else {
        return Err(IllegalEvent::new(&"no execution", event));
    };
    Ok(Execution {
        status: ExecutionStatus::Queued,
        epoch: Epoch(0),
        node: None,
        started_at: None,
        deadline: None,
        cancel_requested: false,
        steps: order.steps.iter().map(|step| (step.clone(), StepProgress::NEW)).collect(),
        order: order.clone(),
    })
}

/// The state after any later event.
pub(super) fn advance(
    mut execution: Execution,
    event: &ExecutionEvent,
) -> Result<Execution, IllegalEvent> {
    use ExecutionStatus::{Cancelled, Completed, Failed, Queued, Running};
    match (execution.status, event) {
        (Queued | Running, ExecutionEvent::Claimed { node, epoch })
            if *epoch == execution.epoch.next() =>
        {
            execution.node = Some(node.clone());
            execution.epoch = *epoch;
        }
        (Queued, ExecutionEvent::Started { at, deadline }) if execution.epoch > Epoch(0) => {
            execution.status = Running;
            execution.started_at = execution.started_at.or(Some(*at));
            execution.deadline = *deadline;
        }
        (Running, step_event) if step_of(step_event).is_some() => {
            return advance_step(execution, step_event);
        }
        (Queued | Running, ExecutionEvent::CancellationRequested { .. }) => {
            execution.cancel_requested = true;
        }
        (Running, ExecutionEvent::Completed) if all_ended(&execution) => {
            execution.status = Completed;
        }
        (Running, ExecutionEvent::Failed { .. }) if all_ended(&execution) => {
            execution.status = Failed;
        }
        (Running, ExecutionEvent::Cancelled)
            if execution.cancel_requested && all_ended(&execution) =>
        {
            execution.status = Cancelled;
        }
        (Failed | Cancelled, ExecutionEvent::Retried { steps })
            if steps.iter().all(|step| execution.steps.contains_key(step)) =>
        {
            execution.status = Queued;
            execution.cancel_requested = false;
            execution.deadline = None;
            for step in steps {
                if let Some(progress) = execution.steps.get_mut(step) {
                    progress.state = StepState::Pending;
                    progress.tries = 0;
                }
            }
        }
        (_, event) => return Err(IllegalEvent::new(&execution, event)),
    }
    Ok(execution)
}

fn all_ended(execution: &Execution) -> bool {
    execution.steps.values().all(|progress| progress.state.has_ended())
}

fn step_of(event: &ExecutionEvent) -> Option<&StepId> {
    match event {
        ExecutionEvent::StepStarted { step, .. }
        | ExecutionEvent::StepSandboxed { step, .. }
        | ExecutionEvent::StepCapabilitiesUsed { step, .. }
        | ExecutionEvent::StepCompleted { step, .. }
        | ExecutionEvent::StepFailed { step, .. }
        | ExecutionEvent::StepRetryScheduled { step, .. }
        | ExecutionEvent::StepSkipped { step, .. }
        | ExecutionEvent::StepCancelled { step } => Some(step),
        _ => None,
    }
}

fn advance_step(
    mut execution: Execution,
    event: &ExecutionEvent,
) -> Result<Execution, IllegalEvent> {
    let progress = step_of(event).and_then(|step| execution.steps.get_mut(step));
    let Some(progress) = progress else {
        return Err(IllegalEvent::new(&execution, event));
    };
    let next = next_state(progress, event).ok_or_else(|| IllegalEvent::new(progress, event))?;
    *progress = next;
    Ok(execution)
}

/// The step after an event about it; `None` if the event cannot stand here.
fn next_state(progress: &StepProgress, event: &ExecutionEvent) -> Option<StepProgress> {
    use StepState::{Cancelled, Completed, Failed, Pending, Running, Skipped, Waiting};
    let StepProgress { state, attempts, tries } = progress;
    let (attempts, tries) = (*attempts, *tries);
    let to = |state| StepProgress { state, attempts, tries };
    Some(match (state, event) {
        (Pending | Waiting { .. }, ExecutionEvent::StepStarted { attempt, deadline, .. })
            if *attempt == attempts + 1 =>
        {
            StepProgress { state: Running { deadline: *deadline }, attempts: *attempt, tries }
        }
        (
            Running { .. },
            ExecutionEvent::StepSandboxed { attempt, .. }
            | ExecutionEvent::StepCapabilitiesUsed { attempt, .. },
        ) if *attempt == attempts => progress.clone(),
        (Running { .. }, ExecutionEvent::StepCompleted { attempt, output, .. })
            if *attempt == attempts =>
        {
            to(Completed { output: output.clone() })
        }
        (Running { .. }, ExecutionEvent::StepFailed { attempt, error, .. })
            if *attempt == attempts =>
        {
            match error.reason {
                // Due at once; its condition was true and is not looked at again.
                FailureReason::NodeLost => to(Waiting { due_at: Timestamp::EPOCH }),
                FailureReason::Attempt(_) => StepProgress {
                    state: Failed { error: error.clone() },
                    attempts,
                    tries: tries + 1,
                },
            }
        }
        (Failed { .. }, ExecutionEvent::StepRetryScheduled { due_at, .. }) => {
            to(Waiting { due_at: *due_at })
        }
        (Pending, ExecutionEvent::StepSkipped { cause, .. }) => to(Skipped { cause: *cause }),
        (Pending | Waiting { .. } | Running { .. }, ExecutionEvent::StepCancelled { .. }) => {
            to(Cancelled)
        }
        _ => return None,
    })
}
