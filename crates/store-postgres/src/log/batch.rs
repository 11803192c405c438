//! One group commit, as the parameters of `flexcore.append_batch`.

use flexcore_event_codec::{StoredWrite, encode_write};
use flexcore_eventsourcing::{Append, Hash, StreamName, StreamWrite, leaves_root, stream_head};
use tokio_postgres::{Client, types::ToSql};

use super::{
    arrays::ArrayBytes,
    names::Names,
    prepared::{Part, Prepared},
};

/// The statement that takes [`Batch::parameters`].
pub(crate) const APPEND_BATCH: &str = "SELECT number, last_position, hash, refused \
    FROM flexcore.append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
    $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, \
    $35, $36, $37, $38, $39)";

/// What an imported batch says about itself: its time, and the hash of the batch before it.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) at: Option<i64>,
    pub(crate) before: Option<Vec<u8>>,
}

/// One group commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    has_one_stream_each: bool,
    notify: bool,
    imported: Imported,
    streams: Streams,
    created: Created,
    absent: [ArrayBytes; 2],
    appends: [ArrayBytes; 3],
    writes: Vec<u8>,
    stored: Vec<u8>,
    write_count: i32,
    leaves: Vec<Hash>,
    root: Vec<u8>,
    events: Events,
    /// Streams that it creates, and their ids.
    pub(crate) new_streams: Vec<(StreamName, i64)>,
    /// Appends that write to streams which do not exist: they are refused without being sent.
    pub(crate) refused: Vec<usize>,
}

#[derive(Debug, Default)]
struct Streams {
    append: ArrayBytes,
    id: ArrayBytes,
    expected: ArrayBytes,
    added: ArrayBytes,
    largest: ArrayBytes,
    epoch: ArrayBytes,
    leaves: ArrayBytes,
    counts: ArrayBytes,
}

#[derive(Debug, Default)]
struct Created {
    append: ArrayBytes,
    id: ArrayBytes,
    version: ArrayBytes,
    epoch: ArrayBytes,
    head: ArrayBytes,
    name: ArrayBytes,
}

#[derive(Debug, Default)]
struct Events {
    append: ArrayBytes,
    stream: ArrayBytes,
    version: ArrayBytes,
    occurred: ArrayBytes,
    type_id: ArrayBytes,
    context: ArrayBytes,
    id: ArrayBytes,
    correlation: ArrayBytes,
    causation: ArrayBytes,
    sealing: ArrayBytes,
    leaf: ArrayBytes,
    payload: ArrayBytes,
}

/// Where a part of an append goes.
#[derive(Debug, Clone, Copy)]
enum Place {
    Existing(i64),
    New(i64),
    /// A guard on a stream that must not exist.
    Absent,
}

impl Batch {
    /// Encodes appends, of which no two write to the same stream. Ids that are not known yet are
    /// asked for.
    pub(crate) async fn encode(
        appends: &[&Prepared],
        names: &mut Names,
        client: &Client,
        notify: bool,
    ) -> Result<Self, tokio_postgres::Error> {
        let mut batch = Self { has_one_stream_each: true, notify, ..Self::default() };
        load_missing(appends, names, client).await?;
        let mut places = Vec::new();
        for (index, prepared) in appends.iter().enumerate() {
            places.clear();
            for part in &prepared.parts {
                places.extend(place_of(part, names, client).await?);
            }
            if places.len() < prepared.parts.len() {
                batch.refused.push(index);
                batch.close_append(0);
                continue;
            }
            batch.add(index, prepared, &places, names, client).await?;
        }
        batch.root = leaves_root(&batch.leaves).0.to_vec();
        Ok(batch)
    }

    /// The same batch, as another log committed it.
    #[must_use]
    pub(crate) fn imported(mut self, at: i64, before: Hash) -> Self {
        self.imported = Imported { at: Some(at), before: Some(before.0.to_vec()) };
        self
    }

    /// Whether there is nothing in it to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.id.len() + self.created.id.len() + self.absent[0].len() == 0
    }

    async fn add(
        &mut self,
        index: usize,
        prepared: &Prepared,
        places: &[Place],
        names: &mut Names,
        client: &Client,
    ) -> Result<(), tokio_postgres::Error> {
        let number = number_of(index);
        self.has_one_stream_each &= matches!(prepared.parts.as_slice(), [part] if part.added > 0);
        for (part, place) in prepared.parts.iter().zip(places) {
            self.add_part(number, part, *place);
        }
        let mut leaves = prepared.leaves.iter();
        for write in prepared.append.writes.iter().filter(|write| !write.events.is_empty()) {
            let id = stream_id(&prepared.parts, places, &write.stream);
            self.add_stored(write, id);
            for (event, version) in write.events.iter().zip(write.expected + 1..) {
                let texts = names.texts(client, event).await?;
                let leaf = leaves.next().copied().unwrap_or(Hash::ZERO);
                self.events.add(number, (id, version), event, texts, leaf);
            }
        }
        self.leaves.extend_from_slice(&prepared.leaves);
        self.writes.extend_from_slice(&prepared.writes);
        self.close_append(prepared.write_count);
        Ok(())
    }

    fn add_part(&mut self, append: i32, part: &Part, place: Place) {
        match place {
            Place::Absent => {
                self.absent[0].push_i32(append);
                self.absent[1].push_bytes(part.stream.as_str().as_bytes());
            }
            Place::Existing(id) => self.streams.add(append, id, part),
            Place::New(id) => {
                self.created.add(append, id, part);
                self.new_streams.push((part.stream.clone(), id));
            }
        }
    }

    fn add_stored(&mut self, write: &StreamWrite, stream_id: i64) {
        let count = u32::try_from(write.events.len()).unwrap_or(u32::MAX);
        let first_version = write.expected + 1;
        let stored = StoredWrite { stream_id, first_version, count, fence: write.fence };
        encode_write(&stored, &mut self.stored);
    }

    fn close_append(&mut self, writes: u32) {
        let writes = i32::try_from(writes).unwrap_or(i32::MAX);
        self.write_count += writes;
        self.appends[0].push_i32(writes);
        self.appends[1].push_i32(i32::try_from(self.writes.len()).unwrap_or(i32::MAX));
        self.appends[2].push_i32(i32::try_from(self.stored.len()).unwrap_or(i32::MAX));
    }

    /// In the order of [`APPEND_BATCH`].
    pub(crate) fn parameters(&self) -> [&(dyn ToSql + Sync); 39] {
        let Self { streams: s, created: n, events: e, appends: a, .. } = self;
        [
            &self.has_one_stream_each,
            &self.notify,
            &self.imported.at,
            &self.imported.before,
            &s.append,
            &s.id,
            &s.expected,
            &s.added,
            &s.largest,
            &s.epoch,
            &s.leaves,
            &s.counts,
            &n.append,
            &n.id,
            &n.version,
            &n.epoch,
            &n.head,
            &n.name,
            &self.absent[0],
            &self.absent[1],
            &a[0],
            &a[1],
            &a[2],
            &self.write_count,
            &self.writes,
            &self.stored,
            &self.root,
            &e.append,
            &e.stream,
            &e.version,
            &e.occurred,
            &e.type_id,
            &e.context,
            &e.id,
            &e.correlation,
            &e.causation,
            &e.sealing,
            &e.leaf,
            &e.payload,
        ]
    }
}

impl Streams {
    fn add(&mut self, append: i32, id: i64, part: &Part) {
        self.append.push_i32(append);
        self.id.push_i64(id);
        self.expected.push_u64(part.expected);
        self.added.push_i32(i32::try_from(part.added).unwrap_or(i32::MAX));
        self.largest.push_i64(part.largest);
        self.epoch.push_i64(part.epoch);
        self.leaves
            .push_bytes(part.leaves.iter().map(|leaf| leaf.0).collect::<Vec<_>>().as_flattened());
        let counts: Vec<u8> = part.counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        self.counts.push_optional_bytes((part.counts.len() > 1).then_some(&counts));
    }
}

impl Created {
    fn add(&mut self, append: i32, id: i64, part: &Part) {
        let mut rest = part.leaves.as_slice();
        let mut head = Hash::ZERO;
        for count in &part.counts {
            let (leaves, others) = rest.split_at(*count as usize);
            head = stream_head(head, leaves);
            rest = others;
        }
        self.append.push_i32(append);
        self.id.push_i64(id);
        self.version.push_i64(i64::from(part.added));
        self.epoch.push_i64(part.epoch);
        self.head.push_bytes(&head.0);
        self.name.push_bytes(part.stream.as_str().as_bytes());
    }
}

impl Events {
    fn add(
        &mut self,
        append: i32,
        (stream, version): (i64, u64),
        event: &flexcore_eventsourcing::EventData,
        (type_id, context): (i32, i32),
        leaf: Hash,
    ) {
        self.append.push_i32(append);
        self.stream.push_i64(stream);
        self.version.push_u64(version);
        self.occurred.push_i64(event.occurred_at.as_micros());
        self.type_id.push_i32(type_id);
        self.context.push_i32(context);
        self.id.push_uuid(Some(event.id.0));
        self.correlation.push_uuid(event.context.correlation);
        self.causation.push_uuid(event.context.causation);
        self.sealing.push_uuid(event.context.sealing_key);
        self.leaf.push_bytes(&leaf.0);
        self.payload.push_bytes(&event.payload);
    }
}

/// Appends are numbered from 1.
fn number_of(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}

async fn load_missing(
    appends: &[&Prepared],
    names: &mut Names,
    client: &Client,
) -> Result<(), tokio_postgres::Error> {
    let missing: Vec<StreamName> = appends
        .iter()
        .flat_map(|prepared| &prepared.parts)
        .filter(|part| part.expected > 0 && names.stream(&part.stream).is_none())
        .map(|part| part.stream.clone())
        .collect();
    if missing.is_empty() { Ok(()) } else { names.load_streams(client, &missing).await }
}

/// `None`: it writes to a stream that does not exist as if it did.
async fn place_of(
    part: &Part,
    names: &mut Names,
    client: &Client,
) -> Result<Option<Place>, tokio_postgres::Error> {
    Ok(match names.stream(&part.stream) {
        Some(id) => Some(Place::Existing(id)),
        None if part.expected > 0 => None,
        None if part.added == 0 => Some(Place::Absent),
        None => Some(Place::New(names.new_stream(client).await?)),
    })
}

fn stream_id(parts: &[Part], places: &[Place], stream: &StreamName) -> i64 {
    let place = match parts {
        [_] => places.first(),
        _ => parts.iter().position(|part| part.stream == *stream).and_then(|at| places.get(at)),
    };
    match place {
        Some(Place::Existing(id) | Place::New(id)) => *id,
        // Every write with events has a part, which is not a guard.
        Some(Place::Absent) | None => 0,
    }
}

/// An append that the short way takes: one event of one stream that exists.
#[derive(Debug)]
pub(crate) struct Lone<'a> {
    pub(crate) append: &'a Append,
    pub(crate) prepared: &'a Prepared,
    pub(crate) part: &'a Part,
    pub(crate) stream_id: i64,
    pub(crate) stored: Vec<u8>,
}

impl<'a> Lone<'a> {
    /// `None` if the append is not of that kind.
    pub(crate) fn new(prepared: &'a Prepared, names: &Names) -> Option<Self> {
        let ([part], [write]) = (prepared.parts.as_slice(), prepared.append.writes.as_slice())
        else {
            return None;
        };
        let stream_id = names.stream(&part.stream).filter(|_| part.added == 1)?;
        let mut stored = Vec::with_capacity(32);
        let first_version = write.expected + 1;
        let write = StoredWrite { stream_id, first_version, count: 1, fence: write.fence };
        encode_write(&write, &mut stored);
        Some(Self { append: &prepared.append, prepared, part, stream_id, stored })
    }
}
