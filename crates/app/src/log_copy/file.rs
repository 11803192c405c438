//! The file of an exported log: JSON Lines, one that says what the file is, then one for each
//! batch.
//!
//! ```text
//! {"format":"flexcore-log","version":1,"origin":"<leaf of the first event>"}
//! {"batch":1,"first_position":1,"last_position":2,"committed_at_us":…,"writes":[…],"root":"…","hash":"…","events":[…]}
//! ```
//!
//! Stream, version and position of an event follow from the writes of its batch. A payload stands
//! as text where it is UTF-8, which JSON is, and as base64 elsewhere. Hashes are hex.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flexcore_eventsourcing::{
    BatchHeader, BatchWrite, Epoch, EventContext, EventData, EventId, Hash, RecordedEvent,
    StreamName, Timestamp,
};
use flexcore_ports::LogBatch;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// What the first line calls the format.
const FORMAT: &str = "flexcore-log";

/// The version of the format.
const VERSION: u32 = 1;

/// A line that is not what it should be. Whoever reads the file knows its number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LogFileError {
    /// The first line does not say that this is an exported log.
    #[error("it does not begin as an exported log does")]
    NoLog,
    /// A newer program wrote it.
    #[error("it is in version {0} of the format, this program reads version {VERSION}")]
    Newer(u32),
    /// The line is malformed.
    #[error("{0}")]
    Malformed(String),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFileHeader {
    format: String,
    version: u32,
    /// The leaf of the log's first event, by which copies of a log are known; absent for an empty
    /// log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

impl LogFileHeader {
    /// Of the log whose first event has this leaf.
    pub fn new(origin: Option<Hash>) -> Self {
        let origin = origin.map(|leaf| leaf.to_string());
        Self { format: FORMAT.to_owned(), version: VERSION, origin }
    }

    /// The line, without its line feed.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("texts and a number serialise")
    }

    /// Reads the line.
    ///
    /// # Errors
    /// [`LogFileError`].
    pub fn read(line: &str) -> Result<Self, LogFileError> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Kind {
            format: String,
            version: u32,
        }
        match serde_json::from_str(line) {
            Ok(Kind { format, version }) if format == FORMAT => match version {
                VERSION => serde_json::from_str(line).map_err(|error| malformed(&error)),
                version => Err(LogFileError::Newer(version)),
            },
            _ => Err(LogFileError::NoLog),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchLine<'a> {
    batch: u64,
    first_position: u64,
    last_position: u64,
    committed_at_us: i64,
    #[serde(borrow)]
    writes: Vec<WriteForm<'a>>,
    root: HashForm,
    hash: HashForm,
    #[serde(borrow)]
    events: Vec<EventForm<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteForm<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    first_version: u64,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fence: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventForm<'a> {
    id: Uuid,
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
    schema_version: u16,
    occurred_at_us: i64,
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation: Option<Uuid>,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealing_key: Option<Uuid>,
    leaf: HashForm,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    payload: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", borrow)]
    payload_base64: Option<Cow<'a, str>>,
}

/// A hash as 64 lower-case hex digits.
struct HashForm(Hash);

impl Serialize for HashForm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HashForm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let mut hash = Hash::ZERO;
        match hex::decode_to_slice(text.as_bytes(), &mut hash.0) {
            Ok(()) if hash.to_string() == text => Ok(Self(hash)),
            _ => Err(serde::de::Error::custom("a hash is not 64 lower-case hex digits")),
        }
    }
}

/// The line of a batch, without its line feed.
pub fn batch_line(batch: &LogBatch) -> String {
    let header = &batch.header;
    let write = |write: &'_ BatchWrite| WriteForm {
        stream: Cow::Owned(write.stream.to_string()),
        first_version: write.first_version,
        count: write.count,
        fence: write.fence.map(|epoch| epoch.0),
    };
    let line = BatchLine {
        batch: batch.number,
        first_position: header.first_position,
        last_position: header.last_position,
        committed_at_us: header.committed_at.as_micros(),
        writes: header.writes.iter().map(write).collect(),
        root: HashForm(header.root),
        hash: HashForm(batch.hash),
        events: batch.events.iter().map(event_form).collect(),
    };
    serde_json::to_string(&line).expect("keys are texts, so every batch serialises")
}

fn event_form(recorded: &RecordedEvent) -> EventForm<'_> {
    let event = &recorded.event;
    let (payload, payload_base64) = match std::str::from_utf8(&event.payload) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(STANDARD.encode(&event.payload).into())),
    };
    EventForm {
        id: event.id.0,
        type_name: (&*event.type_name).into(),
        schema_version: event.schema_version,
        occurred_at_us: event.occurred_at.as_micros(),
        tenant: (&*event.context.tenant).into(),
        actor: (&*event.context.actor).into(),
        correlation: event.context.correlation,
        causation: event.context.causation,
        content_type: (&*event.context.content_type).into(),
        sealing_key: event.context.sealing_key,
        leaf: HashForm(recorded.leaf),
        payload,
        payload_base64,
    }
}

/// Reads the line of a batch. That it holds what its hashes say is
/// [`LogBatch::check_after`]'s to find.
///
/// # Errors
/// [`LogFileError::Malformed`].
pub fn read_batch(line: &str) -> Result<LogBatch, LogFileError> {
    let line: BatchLine<'_> = serde_json::from_str(line).map_err(|error| malformed(&error))?;
    let writes = line
        .writes
        .iter()
        .map(|write| {
            Ok(BatchWrite {
                stream: stream_name(&write.stream)?,
                first_version: write.first_version,
                count: write.count,
                fence: write.fence.map(Epoch),
            })
        })
        .collect::<Result<Vec<_>, LogFileError>>()?;
    let header = BatchHeader {
        first_position: line.first_position,
        last_position: line.last_position,
        committed_at: Timestamp::from_micros(line.committed_at_us),
        writes,
        root: line.root.0,
    };
    let events = recorded(&header, line.events)?;
    Ok(LogBatch { number: line.batch, header, hash: line.hash.0, events })
}

/// Each event with its place, which the writes tell.
fn recorded(
    header: &BatchHeader,
    forms: Vec<EventForm<'_>>,
) -> Result<Vec<RecordedEvent>, LogFileError> {
    let expected = header.writes.iter().map(|write| u64::from(write.count)).sum::<u64>();
    if expected != forms.len() as u64 {
        let found = forms.len();
        let reason = format!("its writes have {expected} events, and {found} are there");
        return Err(LogFileError::Malformed(reason));
    }
    let places = header.writes.iter().flat_map(|write| {
        (0..u64::from(write.count))
            .map(move |index| (write, write.first_version.wrapping_add(index)))
    });
    let mut events = Vec::with_capacity(forms.len());
    for (index, ((write, version), form)) in places.zip(forms).enumerate() {
        events.push(RecordedEvent {
            position: header.first_position.wrapping_add(index as u64),
            stream: write.stream.clone(),
            version,
            committed_at: header.committed_at,
            leaf: form.leaf.0,
            event: event_data(form)?,
        });
    }
    Ok(events)
}

fn event_data(form: EventForm<'_>) -> Result<EventData, LogFileError> {
    let payload = match (form.payload, form.payload_base64) {
        (Some(text), None) => text.into_owned().into_bytes(),
        (None, Some(text)) => STANDARD.decode(text.as_bytes()).map_err(|error| {
            LogFileError::Malformed(format!("a payload is not base64: {error}"))
        })?,
        _ => {
            let reason = "an event needs either `payload` or `payload_base64`".to_owned();
            return Err(LogFileError::Malformed(reason));
        }
    };
    Ok(EventData {
        id: EventId(form.id),
        type_name: form.type_name.into(),
        schema_version: form.schema_version,
        occurred_at: Timestamp::from_micros(form.occurred_at_us),
        context: EventContext {
            tenant: form.tenant.into(),
            actor: form.actor.into(),
            correlation: form.correlation,
            causation: form.causation,
            content_type: form.content_type.into(),
            sealing_key: form.sealing_key,
        },
        payload,
    })
}

fn stream_name(text: &str) -> Result<StreamName, LogFileError> {
    text.parse().map_err(|error: flexcore_eventsourcing::StreamNameError| {
        LogFileError::Malformed(error.to_string())
    })
}

fn malformed(error: &serde_json::Error) -> LogFileError {
    LogFileError::Malformed(error.to_string())
}
