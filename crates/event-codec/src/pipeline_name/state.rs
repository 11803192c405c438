//! The stored form of who has a pipeline's name.

use flexcore_domain::{NameReservation, PipelineId};
use serde::{Deserialize, Serialize};

use crate::{
    form::{self, remote_form},
    state::stored_state,
};

stored_state!(NameReservation, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "NameReservation", deny_unknown_fields)]
struct NameReservationForm {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    holder: Option<PipelineId>,
}

remote_form!(NameReservation => NameReservationForm);
