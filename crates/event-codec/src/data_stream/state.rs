//! The stored form of a data stream's state.

use std::collections::BTreeMap;

use flexcore_domain::{
    DataStream, ExecutionId, JsonText, StepCounts,
    data_stream::{Bookmark, LastSync, SyncPlugins},
};
use flexcore_eventsourcing::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    form::{self, remote_form},
    state::stored_state,
};

stored_state!(DataStream, 1);

#[derive(Serialize, Deserialize)]
#[serde(remote = "DataStream", deny_unknown_fields)]
struct DataStreamForm {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    bookmark: Option<Bookmark>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    plugins: Option<SyncPlugins>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    holder: Option<ExecutionId>,
    #[serde(with = "form")]
    schemas: BTreeMap<String, Value>,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    last_sync: Option<LastSync>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Bookmark", deny_unknown_fields)]
struct BookmarkForm {
    #[serde(with = "form")]
    state: JsonText,
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    execution: Option<ExecutionId>,
    #[serde(
        rename = "line_sha256",
        with = "form",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    line: Option<Hash>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LastSync", deny_unknown_fields)]
struct LastSyncForm {
    #[serde(with = "form")]
    execution: ExecutionId,
    #[serde(with = "form")]
    counts: StepCounts,
}

remote_form! {
    DataStream => DataStreamForm,
    Bookmark => BookmarkForm,
    LastSync => LastSyncForm,
}
