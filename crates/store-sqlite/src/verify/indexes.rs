//! The indexes of `event`, compared with the events.
//!
//! Looking up every row, as SQLite's own check does, takes longer than all the rest. Instead the
//! scan sums up a number per event and index that stands for the entry it must have; a run over
//! the index sums up what it has. Equal sums over entries in order mean equal entries: one changed
//! entry always changes the sum, as the mixing function maps different entries of one index to
//! different numbers with overwhelming probability.

use rusqlite::{Connection, Result, Row};

use super::{fault::Fault, pages::root_page, scan::Scanned};
use crate::{
    error::{is_corruption, reason},
    log::{EventRow, integer},
};

/// An entry of an index: two columns and the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Indexed(i64, u64, u64);

impl Indexed {
    /// The entry of `event_by_stream`.
    pub(crate) fn by_stream(event: &EventRow<'_>) -> Self {
        Self(event.stream_id, event.version, event.position)
    }

    /// The entry of `event_by_type`.
    pub(crate) fn by_type(event: &EventRow<'_>) -> Self {
        Self(event.type_id, event.position, event.position)
    }

    fn read(row: &Row<'_>) -> Option<Self> {
        Some(Self(integer(row, 0)?, integer(row, 1)?, integer(row, 2)?))
    }
}

/// A sum over entries that does not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct IndexSum {
    count: u64,
    sum: u64,
}

impl IndexSum {
    pub(crate) fn add(&mut self, entry: Indexed) {
        let Indexed(first, second, position) = entry;
        let mixed = mix(mix(mix(first.cast_unsigned()) ^ second) ^ position);
        self.count += 1;
        self.sum = self.sum.wrapping_add(mixed);
    }
}

/// Sebastiano Vigna's finalizer of SplitMix64: a bijection in which every input bit changes half of
/// the output bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What an index holds, or what is wrong with it by itself.
#[derive(Debug)]
pub(crate) struct FoundIndex {
    name: &'static str,
    sum: std::result::Result<IndexSum, String>,
}

/// Both indexes up to position `through`: by stream, then by type.
pub(crate) fn read(connection: &Connection, through: u64) -> Result<[FoundIndex; 2]> {
    let by_stream = "SELECT stream_id, version, position FROM event \
                     INDEXED BY event_by_stream ORDER BY stream_id, version";
    let by_type = "SELECT type_id, position, position FROM event \
                   INDEXED BY event_by_type ORDER BY type_id, position";
    Ok([
        FoundIndex { name: "event_by_stream", sum: sum(connection, by_stream, through)? },
        FoundIndex { name: "event_by_type", sum: sum(connection, by_type, through)? },
    ])
}

/// Compares them with what the scan saw.
pub(crate) fn compare(
    connection: &Connection,
    found: [FoundIndex; 2],
    scanned: &Scanned,
) -> Result<Option<Fault>> {
    for (FoundIndex { name, sum }, expected) in
        found.into_iter().zip([scanned.by_stream, scanned.by_type])
    {
        let problem = match sum {
            Ok(sum) if sum == expected => continue,
            Ok(_) => "does not hold exactly the events".to_owned(),
            Err(problem) => problem,
        };
        let page = root_page(connection, name)?;
        let reason = format!("index {name} {problem}");
        return Ok(Some(Fault::on_page(page, scanned.head.position, reason)));
    }
    Ok(None)
}

fn sum(
    connection: &Connection,
    sql: &str,
    through: u64,
) -> Result<std::result::Result<IndexSum, String>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found = IndexSum::default();
    let mut last = None;
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(Ok(found)),
            Err(error) if is_corruption(&error) => return Ok(Err(reason(&error))),
            Err(error) => return Err(error),
        };
        let Some(entry) = Indexed::read(row) else {
            return Ok(Err("holds an entry that cannot be read".to_owned()));
        };
        if last.is_some_and(|last| last >= entry) {
            return Ok(Err("is not in order".to_owned()));
        }
        last = Some(entry);
        // A log that is being written may have grown since the scan began.
        if entry.2 <= through {
            found.add(entry);
        }
    }
}
