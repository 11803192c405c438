//! The stored form of a batch's stream writes, in the logs of all stores.
//!
//! For each write, in order: stream id, first version, count, and the fence plus one, or 0 for no
//! fence; each as an unsigned LEB128 number. The stream id means something in one database only,
//! which keeps a row of 64 small writes at about 400 bytes; the batch hash covers the names.

use flexcore_eventsourcing::Epoch;

/// One stream write of a stored batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredWrite {
    /// The number that this database gave the stream.
    pub stream_id: i64,
    /// The version of its first event.
    pub first_version: u64,
    /// How many events it added.
    pub count: u32,
    /// The fence that it was accepted with.
    pub fence: Option<Epoch>,
}

/// Appends the stored form of `write`.
pub fn encode_write(write: &StoredWrite, bytes: &mut Vec<u8>) {
    put(write.stream_id.cast_unsigned(), bytes);
    put(write.first_version, bytes);
    put(u64::from(write.count), bytes);
    // Epochs are at most i64::MAX, to which the stores hold every append.
    put(write.fence.map_or(0, |epoch| epoch.0.saturating_add(1)), bytes);
}

/// The writes of a batch; `None` if the bytes are not of this form.
pub fn decode_writes(mut bytes: &[u8]) -> Option<Vec<StoredWrite>> {
    let mut writes = Vec::with_capacity(bytes.len() / 5);
    while !bytes.is_empty() {
        writes.push(StoredWrite {
            stream_id: i64::try_from(take(&mut bytes)?).ok()?,
            first_version: take(&mut bytes)?,
            count: u32::try_from(take(&mut bytes)?).ok().filter(|count| *count > 0)?,
            fence: take(&mut bytes)?.checked_sub(1).map(Epoch),
        });
    }
    Some(writes)
}

fn put(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write() -> impl Strategy<Value = StoredWrite> {
        let epoch = prop::option::of(0..=i64::MAX as u64);
        (0..=i64::MAX, any::<u64>(), 1..=u32::MAX, epoch).prop_map(
            |(stream_id, first_version, count, fence)| StoredWrite {
                stream_id,
                first_version,
                count,
                fence: fence.map(Epoch),
            },
        )
    }

    proptest! {
        #[test]
        fn writes_come_back(writes in prop::collection::vec(write(), 0..20)) {
            let mut bytes = Vec::new();
            for write in &writes {
                encode_write(write, &mut bytes);
            }
            prop_assert_eq!(decode_writes(&bytes), Some(writes));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_writes(&bytes);
        }
    }
}
