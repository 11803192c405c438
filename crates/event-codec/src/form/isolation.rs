//! Forms of what held a program and what it used of its rights.

use flexcore_domain::{CapabilityUse, ControlRecord, Isolation, IsolationPlace};
use serde::{Deserialize, Serialize};

use super::remote_form;
use crate::form;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Isolation", deny_unknown_fields)]
struct IsolationForm {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    part: String,
    #[serde(with = "form")]
    place: IsolationPlace,
    #[serde(with = "form", default, skip_serializing_if = "Vec::is_empty")]
    controls: Vec<ControlRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "IsolationPlace", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum IsolationPlaceForm {
    Jail { tier: String },
    InProcess,
    Remote,
    Unconfined,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ControlRecord", deny_unknown_fields)]
struct ControlRecordForm {
    name: String,
    state: String,
    required: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CapabilityUse", deny_unknown_fields)]
struct CapabilityUseForm {
    capability: String,
    allowed: bool,
    times: u64,
    bytes: u64,
}

remote_form! {
    Isolation => IsolationForm,
    IsolationPlace => IsolationPlaceForm,
    ControlRecord => ControlRecordForm,
    CapabilityUse => CapabilityUseForm,
}
