//! Rows of table `event`, and the texts behind their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flexcore_eventsourcing::{
    EventContext, EventData, EventId, Hash, RecordedEvent, StreamName, Timestamp, leaf_hash,
};
use flexcore_ports::StoreError;
use tokio_postgres::{Client, Row};

use crate::error::{corrupt, store_error};

/// The columns of `event` in the order in which [`Texts::event`] reads them.
pub(crate) const COLUMNS: &str = "position, stream_id, version, occurred_at, committed_at, \
    type_id, context_id, id, correlation, causation, sealing_key, leaf, payload";
/// How many streams are kept; a page never names more than it has events.
const STREAMS: usize = 100_000;

/// The texts behind ids, for readers.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    streams: HashMap<i64, StreamName>,
    types: HashMap<i32, (Arc<str>, u16)>,
    contexts: HashMap<i32, [Arc<str>; 3]>,
}

/// An event that was read, or what keeps it from being one.
#[derive(Debug)]
pub(crate) enum Read {
    Event(RecordedEvent),
    /// A text is not known yet.
    Unknown,
    /// The row is not the event that was stored, or a text is not the one that belongs to it.
    Changed(StoreError),
}

impl Texts {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: another server may have taken over, with other ids.
    pub(crate) fn clear(&self) {
        *self.known() = Known::default();
    }

    /// Makes an event of a row and proves it by its leaf.
    pub(crate) fn event(&self, row: &Row) -> Read {
        let known = self.known();
        let texts = (
            known.streams.get(&row.get(1)),
            known.types.get(&row.get(5)),
            known.contexts.get(&row.get(6)),
        );
        let (Some(stream), Some((type_name, schema_version)), Some([tenant, actor, content_type])) =
            texts
        else {
            return Read::Unknown;
        };
        let (stream, type_name) = (stream.clone(), Arc::clone(type_name));
        let schema_version = *schema_version;
        let context = EventContext {
            tenant: Arc::clone(tenant),
            actor: Arc::clone(actor),
            content_type: Arc::clone(content_type),
            correlation: row.get(8),
            causation: row.get(9),
            sealing_key: row.get(10),
        };
        drop(known);
        let event = EventData {
            id: EventId(row.get(7)),
            type_name,
            schema_version,
            occurred_at: Timestamp::from_micros(row.get(3)),
            context,
            payload: row.get(12),
        };
        prove(RecordedEvent {
            position: row.get::<_, i64>(0).unsigned_abs(),
            version: row.get::<_, i64>(2).unsigned_abs(),
            committed_at: Timestamp::from_micros(row.get(4)),
            leaf: Hash::from_slice(row.get(11)).unwrap_or(Hash::ZERO),
            stream,
            event,
        })
    }

    /// Loads the texts that rows refer to and that are not known.
    pub(crate) async fn load(&self, client: &Client, rows: &[Row]) -> Result<(), StoreError> {
        let (mut streams, mut types, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut known = self.known();
            if known.streams.len() > STREAMS {
                known.streams.clear();
            }
            for row in rows {
                let (stream, type_id, context): (i64, i32, i32) =
                    (row.get(1), row.get(5), row.get(6));
                streams.extend((!known.streams.contains_key(&stream)).then_some(stream));
                types.extend((!known.types.contains_key(&type_id)).then_some(type_id));
                contexts.extend((!known.contexts.contains_key(&context)).then_some(context));
            }
        }
        for ids in [&mut types, &mut contexts] {
            ids.sort_unstable();
            ids.dedup();
        }
        streams.sort_unstable();
        streams.dedup();
        self.load_streams(client, &streams).await?;
        self.load_types(client, &types).await?;
        self.load_contexts(client, &contexts).await
    }

    /// Loads names of streams.
    pub(crate) async fn load_streams(
        &self,
        client: &Client,
        ids: &[i64],
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let sql = "SELECT id, name FROM flexcore.stream WHERE id = ANY ($1)";
        for row in client.query(sql, &[&ids]).await.map_err(|error| store_error(&error))? {
            let (id, name): (i64, &str) = (row.get(0), row.get(1));
            let name = name
                .parse::<StreamName>()
                .map_err(|error| corrupt(format!("stream {id}"), error.to_string()))?;
            self.known().streams.insert(id, name);
        }
        Ok(())
    }

    /// The name of a stream that was loaded.
    pub(crate) fn stream(&self, id: i64) -> Option<StreamName> {
        self.known().streams.get(&id).cloned()
    }

    async fn load_types(&self, client: &Client, ids: &[i32]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let sql = "SELECT id, name, schema_version FROM flexcore.event_type WHERE id = ANY ($1)";
        for row in client.query(sql, &[&ids]).await.map_err(|error| store_error(&error))? {
            let version = u16::try_from(row.get::<_, i32>(2)).unwrap_or(0);
            self.known().types.insert(row.get(0), (row.get::<_, &str>(1).into(), version));
        }
        Ok(())
    }

    async fn load_contexts(&self, client: &Client, ids: &[i32]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let sql =
            "SELECT id, tenant, actor, content_type FROM flexcore.context WHERE id = ANY ($1)";
        for row in client.query(sql, &[&ids]).await.map_err(|error| store_error(&error))? {
            let texts = [1, 2, 3].map(|column| Arc::from(row.get::<_, &str>(column)));
            self.known().contexts.insert(row.get(0), texts);
        }
        Ok(())
    }
}

fn prove(event: RecordedEvent) -> Read {
    if leaf_hash(&event.stream, &event.event) == event.leaf {
        return Read::Event(event);
    }
    let reason = format!("the event of {} does not have the hash it was stored with", event.stream);
    Read::Changed(corrupt(format!("position {}", event.position), reason))
}
