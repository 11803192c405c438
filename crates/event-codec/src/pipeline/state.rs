//! The stored form of a pipeline's state.

use flexcore_domain::{Pipeline, PipelineDefinition, PipelineId, PipelineStatus};
use serde::{Deserialize, Serialize};

use crate::{
    form::{self, remote_form},
    state::stored_state,
};

stored_state!(Pipeline, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Pipeline", deny_unknown_fields)]
struct PipelineForm {
    #[serde(with = "form")]
    id: PipelineId,
    #[serde(with = "form")]
    status: PipelineStatus,
    version: u32,
    #[serde(with = "form")]
    definition: PipelineDefinition,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PipelineStatus", rename_all = "snake_case")]
enum PipelineStatusForm {
    Draft,
    Active,
    Inactive,
    Archived,
}

remote_form! {
    Pipeline => PipelineForm,
    PipelineStatus => PipelineStatusForm,
}
