//! The stored form of an execution's state.

use std::collections::BTreeMap;

use flexcore_domain::{
    Execution, ExecutionOrder, ExecutionStatus, SkipCause, StepError, StepId, StepProgress,
    StepState, StoredOutput,
};
use flexcore_eventsourcing::{Epoch, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    form::{self, remote_form},
    state::stored_state,
};

stored_state!(Execution, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Execution", deny_unknown_fields)]
struct ExecutionForm {
    #[serde(with = "form")]
    order: ExecutionOrder,
    #[serde(with = "form")]
    status: ExecutionStatus,
    #[serde(with = "form")]
    epoch: Epoch,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(
        rename = "started_at_us",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    started_at: Option<Timestamp>,
    #[serde(
        rename = "deadline_us",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    deadline: Option<Timestamp>,
    cancel_requested: bool,
    #[serde(with = "form")]
    steps: BTreeMap<StepId, StepProgress>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ExecutionStatus", rename_all = "snake_case")]
enum ExecutionStatusForm {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepProgress", deny_unknown_fields)]
struct StepProgressForm {
    #[serde(with = "form")]
    state: StepState,
    attempts: u32,
    tries: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StepState", rename_all = "snake_case", deny_unknown_fields)]
enum StepStateForm {
    Pending,
    Running {
        #[serde(
            rename = "deadline_us",
            with = "form",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        deadline: Option<Timestamp>,
    },
    Waiting {
        #[serde(rename = "due_at_us", with = "form")]
        due_at: Timestamp,
    },
    Completed {
        #[serde(with = "form")]
        output: StoredOutput,
    },
    Failed {
        #[serde(with = "form")]
        error: StepError,
    },
    Skipped {
        #[serde(with = "form")]
        cause: SkipCause,
    },
    Cancelled,
}

remote_form! {
    Execution => ExecutionForm,
    ExecutionStatus => ExecutionStatusForm,
    StepProgress => StepProgressForm,
    StepState => StepStateForm,
}
