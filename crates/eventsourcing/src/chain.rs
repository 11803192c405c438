//! The tamper-evident form of the log.
//!
//! Three kinds of SHA-256 hash, told apart by their first byte so that none can be passed off as
//! another (the idea is RFC 6962's):
//!
//! * **leaf** (`0x00`): one event with its stream's name;
//! * **stream head** (`0x02`): the former head and the leaves that one stream write added;
//! * **batch** (`0x04`): what a store committed at once, and the hash of the batch before it. The
//!   leaves' **root** (`0x03`) is in it, so that the chain of batches covers every event.
//!
//! All integers are big-endian; texts are UTF-8 behind their length as `u32`; an optional value is
//! a byte 0, or a byte 1 and the value. The second byte of each form is its version, 1. Golden
//! files hold all of this still.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Epoch, EventData, StreamName, Timestamp};

/// The version of every form in this module.
const FORM: u8 = 1;
const LEAF: u8 = 0x00;
const STREAM_HEAD: u8 = 0x02;
const ROOT: u8 = 0x03;
const BATCH: u8 = 0x04;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What a chain begins with: the head of an empty stream, the hash before the first batch.
    pub const ZERO: Self = Self([0; 32]);

    /// From stored bytes; `None` unless there are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hash({self})")
    }
}

/// One stream's part of a batch, in the order of its positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchWrite {
    /// The stream.
    pub stream: StreamName,
    /// The version of its first event in this write.
    pub first_version: u64,
    /// How many events it added.
    pub count: u32,
    /// The fence that it was accepted with.
    pub fence: Option<Epoch>,
}

/// What the hash of a batch covers besides the hash before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchHeader {
    /// The first position of the batch.
    pub first_position: u64,
    /// Its last position.
    pub last_position: u64,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// Its stream writes, in order.
    pub writes: Vec<BatchWrite>,
    /// [`leaves_root`] of its events.
    pub root: Hash,
}

/// The hash of one event: its header and its payload.
///
/// The header is, in this order: event id (16 bytes), stream name, type name, schema version
/// (`u16`), `occurred_at` in microseconds (`i64`), tenant, actor, correlation, causation, content
/// type, sealing-key id; the payload follows behind its length as `u64`.
pub fn leaf_hash(stream: &StreamName, event: &EventData) -> Hash {
    let mut header = Vec::with_capacity(320);
    header.extend([LEAF, FORM]);
    header.extend(event.id.0.as_bytes());
    put_text(&mut header, stream.as_str());
    put_text(&mut header, &event.type_name);
    header.extend(event.schema_version.to_be_bytes());
    header.extend(event.occurred_at.as_micros().to_be_bytes());
    put_text(&mut header, &event.context.tenant);
    put_text(&mut header, &event.context.actor);
    put_uuid(&mut header, event.context.correlation);
    put_uuid(&mut header, event.context.causation);
    put_text(&mut header, &event.context.content_type);
    put_uuid(&mut header, event.context.sealing_key);
    header.extend((event.payload.len() as u64).to_be_bytes());
    let mut hasher = Sha256::new();
    hasher.update(&header);
    hasher.update(&event.payload);
    Hash(hasher.finalize().into())
}

/// The head of a stream after a write added `leaves` to it.
pub fn stream_head(before: Hash, leaves: &[Hash]) -> Hash {
    let mut hasher = Sha256::new_with_prefix([STREAM_HEAD, FORM]);
    hasher.update(before.0);
    for leaf in leaves {
        hasher.update(leaf.0);
    }
    Hash(hasher.finalize().into())
}

/// The root of a batch: all its leaves, in order of their positions.
pub fn leaves_root<'a>(leaves: impl IntoIterator<Item = &'a Hash>) -> Hash {
    let mut hasher = Sha256::new_with_prefix([ROOT, FORM]);
    for leaf in leaves {
        hasher.update(leaf.0);
    }
    Hash(hasher.finalize().into())
}

/// The hash of a batch that follows the batch with hash `before`.
///
/// Covered, in this order: the hash before it, first and last position (`u64`), `committed_at` in
/// microseconds (`i64`), the root, the number of writes (`u32`), and for each write its stream
/// name, first version (`u64`), count (`u32`) and fence (an optional `u64`).
pub fn batch_hash(before: Hash, header: &BatchHeader) -> Hash {
    let mut bytes = Vec::with_capacity(128 + header.writes.len() * 96);
    bytes.extend([BATCH, FORM]);
    bytes.extend(before.0);
    bytes.extend(header.first_position.to_be_bytes());
    bytes.extend(header.last_position.to_be_bytes());
    bytes.extend(header.committed_at.as_micros().to_be_bytes());
    bytes.extend(header.root.0);
    put_length(&mut bytes, header.writes.len());
    for write in &header.writes {
        put_batch_write(&mut bytes, write);
    }
    Hash(Sha256::digest(&bytes).into())
}

/// Adds a stream write as [`batch_hash`] covers it, for stores that hash where they store.
pub fn put_batch_write(bytes: &mut Vec<u8>, write: &BatchWrite) {
    put_text(bytes, write.stream.as_str());
    bytes.extend(write.first_version.to_be_bytes());
    bytes.extend(write.count.to_be_bytes());
    put_option(bytes, write.fence.map(|epoch| epoch.0.to_be_bytes()));
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // Every length here is bounded far below 4 GiB: names and contexts by the stores, writes by
    // the size of a batch.
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn put_uuid(bytes: &mut Vec<u8>, uuid: Option<Uuid>) {
    put_option(bytes, uuid.map(Uuid::into_bytes));
}

fn put_option<const N: usize>(bytes: &mut Vec<u8>, value: Option<[u8; N]>) {
    match value {
        None => bytes.push(0),
        Some(value) => {
            bytes.push(1);
            bytes.extend(value);
        }
    }
}

#[cfg(test)]
mod tests;
