//! What a file format must know for the driver in `sync` to read it.

use flexcore_singer::{CatalogStream, Json, Object};

use crate::tap::{blocks::Blocks, error::RecordError};

/// Records read from each file when types are inferred, at most.
pub(crate) const SAMPLE_RECORDS: usize = 10_000;
/// Bytes read from each file when types are inferred, at most.
pub(crate) const SAMPLE_BYTES: u64 = 4 << 20;

/// The value that an incremental stream is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyValue<'a> {
    Null,
    Number(&'a str),
    Text(&'a str),
}

/// Reads and writes the records of one stream, and knows their types so far.
///
/// The driver calls `sample` for some files first, then for each file `begin_file` and then `next`
/// and `write` for each record, with `refresh` and a new SCHEMA in between where types widened.
pub(crate) trait RecordFormat {
    /// Infers types from the beginning of a file.
    fn sample(&mut self, blocks: &mut Blocks) -> Result<(), RecordError>;

    /// Widens to types of earlier runs, as [`Self::types`] gave them.
    fn widen_to(&mut self, types: &Object);

    /// Takes over what a catalog chooses and corrects.
    fn apply(&mut self, stream: &CatalogStream);

    /// Types so far, for the bookmark.
    fn types(&self) -> Object;

    /// JSON Schema of the records as they are sent.
    fn schema(&self) -> Json;

    /// Names of all properties, selected or not.
    fn properties(&self) -> Vec<&str>;

    /// Reads what stands before the first record. True if the schema has changed.
    fn begin_file(&mut self, blocks: &mut Blocks) -> Result<bool, RecordError>;

    /// Continues at a line: the position was moved behind `begin_file`.
    fn resume_at(&mut self, line: u64);

    /// Finds the next record; its length in bytes from the first that is available, with its line
    /// end. `None` at the end of the file.
    fn next(&mut self, blocks: &mut Blocks) -> Result<Option<usize>, RecordError>;

    /// Line of the file on which the record found last begins.
    fn line(&self) -> u64;

    /// Line of the file on which the next record will begin.
    fn next_line(&self) -> u64;

    /// The value of a property in the record found last.
    fn key_value<'a>(
        &'a self,
        record: &'a [u8],
        property: &str,
    ) -> Result<KeyValue<'a>, RecordError>;

    /// Appends the record found last as a RECORD line. False if it does not fit the schema sent:
    /// the schema is wider now and has to be sent before the record is written again.
    fn write(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<bool, RecordError>;
}
