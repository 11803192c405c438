//! Why an append was refused, or that it had succeeded before.

use std::collections::HashMap;

use flexcore_eventsourcing::{Epoch, EventId, StreamName, StreamWrite};
use flexcore_ports::{AppendError, Appended, StoreError};
use tokio_postgres::Client;

use super::prepared::Prepared;
use crate::error::store_error;

/// A stream as it is now.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    id: i64,
    version: u64,
    owner: Epoch,
}

/// Looks at the streams of a refused append as they are now. `None`: nothing speaks against it any
/// more.
///
/// # Errors
/// That the store cannot be read.
pub(crate) async fn resolve(
    client: &Client,
    prepared: &Prepared,
) -> Result<Option<Result<Appended, AppendError>>, StoreError> {
    let streams = load(client, prepared).await?;
    let Some(refusal) = check(prepared, &streams) else { return Ok(None) };
    Ok(Some(match find_stored(client, prepared, &streams).await? {
        Some(found) => found,
        None => Err(refusal),
    }))
}

async fn load(
    client: &Client,
    prepared: &Prepared,
) -> Result<HashMap<StreamName, Stored>, StoreError> {
    let parts = &prepared.parts;
    let names: Vec<&str> = parts.iter().map(|part| part.stream.as_str()).collect();
    let sql = "SELECT name, id, version, owner_epoch FROM flexcore.stream WHERE name = ANY ($1)";
    let rows = client.query(sql, &[&names]).await.map_err(|error| store_error(&error))?;
    let mut streams: HashMap<StreamName, Stored> =
        parts.iter().map(|part| (part.stream.clone(), Stored::default())).collect();
    for row in rows {
        let name: &str = row.get(0);
        if let Some((_, stream)) = streams.iter_mut().find(|(known, _)| known.as_str() == name) {
            *stream = Stored {
                id: row.get(1),
                version: row.get::<_, i64>(2).unsigned_abs(),
                owner: Epoch(row.get::<_, i64>(3).unsigned_abs()),
            };
        }
    }
    Ok(streams)
}

/// What versions and fences say, write by write; a later write sees what an earlier one does.
fn check(prepared: &Prepared, streams: &HashMap<StreamName, Stored>) -> Option<AppendError> {
    let mut streams: HashMap<&StreamName, Stored> =
        streams.iter().map(|(name, stream)| (name, *stream)).collect();
    for write in &prepared.append.writes {
        let stream = streams.entry(&write.stream).or_default();
        if let Some(refusal) = refusal(write, *stream) {
            return Some(refusal);
        }
        if !write.events.is_empty() {
            stream.version += write.events.len() as u64;
            stream.owner = stream.owner.max(write.fence.unwrap_or_default());
        }
    }
    None
}

fn refusal(write: &StreamWrite, stream: Stored) -> Option<AppendError> {
    let name = || write.stream.clone();
    // First the fence: whoever lost a stream must not be told to read it and try again.
    if let Some(fence) = write.fence.filter(|fence| *fence < stream.owner) {
        return Some(AppendError::Fenced { stream: name(), fence, owner: stream.owner });
    }
    (stream.version != write.expected).then(|| AppendError::Conflict {
        stream: name(),
        expected: write.expected,
        actual: stream.version,
    })
}

/// The outcome of a repeated append whose events all stand where it wants them; `None` if they do
/// not.
async fn find_stored(
    client: &Client,
    prepared: &Prepared,
    streams: &HashMap<StreamName, Stored>,
) -> Result<Option<Result<Appended, AppendError>>, StoreError> {
    let mut leaves = prepared.leaves.iter();
    let mut last_position = None;
    for write in prepared.append.writes.iter().filter(|write| !write.events.is_empty()) {
        let count = write.events.len() as u64;
        let stream = streams.get(&write.stream).copied().unwrap_or_default();
        if stream.version < write.expected + count {
            return Ok(None);
        }
        let (first, last) = (write.expected + 1, write.expected + count);
        let sql = "SELECT position, id, leaf FROM flexcore.event \
                   WHERE stream_id = $1 AND version BETWEEN $2 AND $3 ORDER BY version";
        let rows = client
            .query(sql, &[&stream.id, &first.cast_signed(), &last.cast_signed()])
            .await
            .map_err(|error| store_error(&error))?;
        if rows.len() != write.events.len() {
            return Ok(None);
        }
        for ((event, leaf), row) in write.events.iter().zip(leaves.by_ref()).zip(rows) {
            if row.get::<_, uuid::Uuid>(1) != event.id.0 {
                return Ok(None);
            }
            if row.get::<_, &[u8]>(2) != leaf.0 {
                return Ok(Some(Err(reused(&write.stream, event.id))));
            }
            last_position = Some(row.get::<_, i64>(0).unsigned_abs());
        }
    }
    Ok(last_position.map(|last_position| Ok(Appended { last_position, repeated: true })))
}

fn reused(stream: &StreamName, id: EventId) -> AppendError {
    AppendError::Invalid(format!(
        "event {id} is in {stream} already, with other content; an id belongs to one event for ever"
    ))
}
