//! The ids of repeated texts, for the writer.

use std::{collections::HashMap, sync::Arc};

use flexcore_eventsourcing::{EventContext, EventData, StreamName};
use tokio_postgres::Client;

/// How many streams the writer keeps the ids of.
const STREAMS: usize = 200_000;
/// How many types and contexts.
const TEXTS: usize = 10_000;
/// How many ids of streams the server hands out at once.
const BLOCK: i64 = 1_000;

type ContextKey = (Arc<str>, Arc<str>, Arc<str>);

/// The writer's caches of ids. They hold as long as the server stays the same one: a server that took
/// over may lack what the former one had committed last, so they are cleared with each connection.
#[derive(Debug, Default)]
pub(crate) struct Names {
    streams: HashMap<StreamName, i64>,
    types: HashMap<(Arc<str>, u16), i32>,
    contexts: HashMap<ContextKey, i32>,
    /// The last ones: one command's events mostly share theirs.
    last_type: Option<(Arc<str>, u16, i32)>,
    last_context: Option<(ContextKey, i32)>,
    /// Ids of streams that are ours to give, from the first up to before the second.
    block: (i64, i64),
}

impl Names {
    /// The id of a stream that is known to exist.
    pub(crate) fn stream(&self, name: &StreamName) -> Option<i64> {
        self.streams.get(name).copied()
    }

    /// A stream exists.
    pub(crate) fn learn(&mut self, name: &StreamName, id: i64) {
        if self.streams.len() >= STREAMS {
            self.streams.clear();
        }
        self.streams.insert(name.clone(), id);
    }

    /// What is known of a stream proved wrong.
    pub(crate) fn forget(&mut self, name: &StreamName) {
        self.streams.remove(name);
    }

    /// An id for a stream that is about to be created.
    pub(crate) async fn new_stream(
        &mut self,
        client: &Client,
    ) -> Result<i64, tokio_postgres::Error> {
        if self.block.0 == self.block.1 {
            let first = client.query_one("SELECT flexcore.stream_ids()", &[]).await?.get(0);
            self.block = (first, first + BLOCK);
        }
        self.block.0 += 1;
        Ok(self.block.0 - 1)
    }

    /// Looks up streams by name.
    pub(crate) async fn load_streams(
        &mut self,
        client: &Client,
        names: &[StreamName],
    ) -> Result<(), tokio_postgres::Error> {
        let texts: Vec<&str> = names.iter().map(StreamName::as_str).collect();
        let sql = "SELECT n.ordinal, s.id FROM unnest($1::text[]) WITH ORDINALITY n (name, ordinal) \
                   JOIN flexcore.stream s ON s.name = n.name COLLATE \"C\"";
        for row in client.query(sql, &[&texts]).await? {
            let index = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
            if let Some(name) = names.get(index) {
                self.learn(name, row.get(1));
            }
        }
        Ok(())
    }

    /// The ids of an event's type and context.
    pub(crate) async fn texts(
        &mut self,
        client: &Client,
        event: &EventData,
    ) -> Result<(i32, i32), tokio_postgres::Error> {
        let type_id = match self.known_type(event) {
            Some(id) => id,
            None => self.load_type(client, event).await?,
        };
        let context_id = match self.known_context(&event.context) {
            Some(id) => id,
            None => self.load_context(client, &event.context).await?,
        };
        Ok((type_id, context_id))
    }

    fn known_type(&mut self, event: &EventData) -> Option<i32> {
        if let Some((name, version, id)) = &self.last_type
            && *name == event.type_name
            && *version == event.schema_version
        {
            return Some(*id);
        }
        let key = (Arc::clone(&event.type_name), event.schema_version);
        let id = *self.types.get(&key)?;
        self.last_type = Some((key.0, key.1, id));
        Some(id)
    }

    async fn load_type(
        &mut self,
        client: &Client,
        event: &EventData,
    ) -> Result<i32, tokio_postgres::Error> {
        let (name, version) = (&*event.type_name, i32::from(event.schema_version));
        let sql = "SELECT flexcore.event_type_id($1, $2)";
        let id = client.query_one(sql, &[&name, &version]).await?.get(0);
        if self.types.len() >= TEXTS {
            self.types.clear();
        }
        self.types.insert((Arc::clone(&event.type_name), event.schema_version), id);
        Ok(id)
    }

    fn known_context(&mut self, context: &EventContext) -> Option<i32> {
        if let Some(((tenant, actor, content_type), id)) = &self.last_context
            && *tenant == context.tenant
            && *actor == context.actor
            && *content_type == context.content_type
        {
            return Some(*id);
        }
        let key = key_of(context);
        let id = *self.contexts.get(&key)?;
        self.last_context = Some((key, id));
        Some(id)
    }

    async fn load_context(
        &mut self,
        client: &Client,
        context: &EventContext,
    ) -> Result<i32, tokio_postgres::Error> {
        let [owner, actor, media_type] =
            [&*context.tenant, &*context.actor, &*context.content_type];
        let sql = "SELECT flexcore.context_id($1, $2, $3)";
        let id = client.query_one(sql, &[&owner, &actor, &media_type]).await?.get(0);
        if self.contexts.len() >= TEXTS {
            self.contexts.clear();
        }
        self.contexts.insert(key_of(context), id);
        Ok(id)
    }
}

fn key_of(context: &EventContext) -> ContextKey {
    let EventContext { tenant, actor, content_type, .. } = context;
    (Arc::clone(tenant), Arc::clone(actor), Arc::clone(content_type))
}
