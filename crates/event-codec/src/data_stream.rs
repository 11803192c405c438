//! The stored form of data streams.

use std::borrow::Cow;

use flexcore_domain::{
    ExecutionId, JsonText, StepCounts,
    data_stream::{DataStreamEvent, SyncPlugins},
};
use flexcore_eventsourcing::Hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    DecodeError, Encoded, StoredEvent,
    form::{self, remote_form},
    payload::{Payload, event_type, read, write},
};

mod state;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncStarted<'a> {
    #[serde(with = "form")]
    execution: ExecutionId,
    #[serde(with = "form")]
    plugins: Cow<'a, SyncPlugins>,
}
event_type!(SyncStarted<'_>, "SyncStarted", 1);

impl From<SyncStarted<'_>> for DataStreamEvent {
    fn from(SyncStarted { execution, plugins }: SyncStarted<'_>) -> Self {
        Self::SyncStarted { execution, plugins: plugins.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SyncPlugins", deny_unknown_fields)]
struct SyncPluginsForm {
    tap: String,
    target: String,
}
remote_form!(SyncPlugins => SyncPluginsForm);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookmarkAdvanced<'a> {
    #[serde(with = "form")]
    execution: ExecutionId,
    #[serde(with = "form")]
    state: Cow<'a, JsonText>,
    #[serde(rename = "line_sha256", with = "form")]
    line: Hash,
}
event_type!(BookmarkAdvanced<'_>, "BookmarkAdvanced", 1);

impl From<BookmarkAdvanced<'_>> for DataStreamEvent {
    fn from(BookmarkAdvanced { execution, state, line }: BookmarkAdvanced<'_>) -> Self {
        Self::BookmarkAdvanced { execution, state: state.into_owned(), line }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookmarkRefused<'a> {
    #[serde(with = "form")]
    execution: ExecutionId,
    reason: Cow<'a, str>,
}
event_type!(BookmarkRefused<'_>, "BookmarkRefused", 1);

impl From<BookmarkRefused<'_>> for DataStreamEvent {
    fn from(BookmarkRefused { execution, reason }: BookmarkRefused<'_>) -> Self {
        Self::BookmarkRefused { execution, reason: reason.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookmarkReset<'a> {
    #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
    remaining: Option<Cow<'a, JsonText>>,
}
event_type!(BookmarkReset<'_>, "BookmarkReset", 1);

impl From<BookmarkReset<'_>> for DataStreamEvent {
    fn from(BookmarkReset { remaining }: BookmarkReset<'_>) -> Self {
        Self::BookmarkReset { remaining: remaining.map(Cow::into_owned) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookmarkSet<'a> {
    #[serde(with = "form")]
    state: Cow<'a, JsonText>,
}
event_type!(BookmarkSet<'_>, "BookmarkSet", 1);

impl From<BookmarkSet<'_>> for DataStreamEvent {
    fn from(BookmarkSet { state }: BookmarkSet<'_>) -> Self {
        Self::BookmarkSet { state: state.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BookmarkKept {}
event_type!(BookmarkKept, "BookmarkKept", 1);

impl From<BookmarkKept> for DataStreamEvent {
    fn from(BookmarkKept {}: BookmarkKept) -> Self {
        Self::BookmarkKept
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaObserved<'a> {
    stream: Cow<'a, str>,
    #[serde(with = "form")]
    schema: Cow<'a, Value>,
}
event_type!(SchemaObserved<'_>, "SchemaObserved", 1);

impl From<SchemaObserved<'_>> for DataStreamEvent {
    fn from(SchemaObserved { stream, schema }: SchemaObserved<'_>) -> Self {
        Self::SchemaObserved { stream: stream.into_owned(), schema: schema.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SyncRecorded {
    #[serde(with = "form")]
    execution: ExecutionId,
    #[serde(with = "form")]
    counts: StepCounts,
}
event_type!(SyncRecorded, "SyncRecorded", 1);

impl From<SyncRecorded> for DataStreamEvent {
    fn from(SyncRecorded { execution, counts }: SyncRecorded) -> Self {
        Self::SyncRecorded { execution, counts }
    }
}

impl StoredEvent for DataStreamEvent {
    const TYPES: &'static [&'static str] = &[
        SyncStarted::TYPE,
        BookmarkAdvanced::TYPE,
        BookmarkRefused::TYPE,
        BookmarkReset::TYPE,
        BookmarkSet::TYPE,
        BookmarkKept::TYPE,
        SchemaObserved::TYPE,
        SyncRecorded::TYPE,
    ];

    fn encode(&self) -> Encoded {
        match self {
            Self::SyncStarted { execution, plugins } => {
                write(&SyncStarted { execution: *execution, plugins: Cow::Borrowed(plugins) })
            }
            Self::BookmarkAdvanced { execution, state, line } => write(&BookmarkAdvanced {
                execution: *execution,
                state: Cow::Borrowed(state),
                line: *line,
            }),
            Self::BookmarkRefused { execution, reason } => {
                write(&BookmarkRefused { execution: *execution, reason: reason.into() })
            }
            Self::BookmarkReset { remaining } => {
                write(&BookmarkReset { remaining: remaining.as_ref().map(Cow::Borrowed) })
            }
            Self::BookmarkSet { state } => write(&BookmarkSet { state: Cow::Borrowed(state) }),
            Self::BookmarkKept => write(&BookmarkKept {}),
            Self::SchemaObserved { stream, schema } => {
                write(&SchemaObserved { stream: stream.into(), schema: Cow::Borrowed(schema) })
            }
            Self::SyncRecorded { execution, counts } => {
                write(&SyncRecorded { execution: *execution, counts: *counts })
            }
        }
    }

    fn decode(type_name: &str, schema_version: u16, payload: &[u8]) -> Result<Self, DecodeError> {
        match type_name {
            SyncStarted::TYPE => read::<SyncStarted<'_>, _>(schema_version, payload),
            BookmarkAdvanced::TYPE => read::<BookmarkAdvanced<'_>, _>(schema_version, payload),
            BookmarkRefused::TYPE => read::<BookmarkRefused<'_>, _>(schema_version, payload),
            BookmarkReset::TYPE => read::<BookmarkReset<'_>, _>(schema_version, payload),
            BookmarkSet::TYPE => read::<BookmarkSet<'_>, _>(schema_version, payload),
            BookmarkKept::TYPE => read::<BookmarkKept, _>(schema_version, payload),
            SchemaObserved::TYPE => read::<SchemaObserved<'_>, _>(schema_version, payload),
            SyncRecorded::TYPE => read::<SyncRecorded, _>(schema_version, payload),
            _ => Err(DecodeError::unknown_type::<Self>(type_name)),
        }
    }
}
