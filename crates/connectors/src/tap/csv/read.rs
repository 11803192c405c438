//! Rows of a CSV file, by `csv-core`: where each begins and ends, and the texts of its fields.

use csv_core::{ReadFieldResult, ReadRecordResult, Reader, ReaderBuilder};

use crate::tap::{
    blocks::{Blocks, MAX_RECORD},
    error::RecordError,
};

/// The row read last.
pub(super) struct Row {
    reader: Reader,
    /// Walks a row again for the rare question whether an empty field was quoted.
    probe: Reader,
    delimiter: u8,
    quote: u8,
    /// Texts of the fields, one behind the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    line: u64,
}

/// A reader with the same settings at the start of a file. (The `Clone` of `csv_core::Reader` 0.1.13
/// forgets most of its tables, and then finds empty rows for ever.)
impl Clone for Row {
    fn clone(&self) -> Self {
        Self::new(self.delimiter, self.quote)
    }
}

impl Row {
    pub(super) fn new(delimiter: u8, quote: u8) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).quote(quote);
        Self {
            reader: builder.build(),
            probe: builder.build(),
            delimiter,
            quote,
            text: vec![0; 4096],
            ends: vec![0; 64],
            fields: 0,
            line: 1,
        }
    }

    /// Begins a file.
    pub(super) fn begin(&mut self) {
        self.reader.reset();
        self.line = 1;
    }

    /// Goes on behind a line end, at this line.
    pub(super) fn resume_at(&mut self, line: u64) {
        self.reader.reset();
        // Only the start of a file may carry a byte order mark; this blank line is behind it.
        self.reader.read_record(b"\n", &mut self.text, &mut self.ends);
        self.reader.set_line(line);
        self.line = line;
    }

    /// Line on which the row begins; if it is preceded by blank lines, the first of them.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn next_line(&self) -> u64 {
        self.reader.line()
    }

    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    #[inline]
    pub(super) fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// Reads the next row; its length in the file with its line end, or `None` at the end.
    pub(super) fn read(&mut self, blocks: &mut Blocks) -> Result<Option<usize>, RecordError> {
        self.line = self.reader.line();
        let (mut length, mut written) = (0, 0);
        self.fields = 0;
        loop {
            let input = &blocks.available()[length..];
            // An empty input means the end of the file to csv-core.
            let result = if input.is_empty() && !blocks.is_at_end() {
                ReadRecordResult::InputEmpty
            } else {
                let (result, read, wrote, fields) = self.reader.read_record(
                    input,
                    &mut self.text[written..],
                    &mut self.ends[self.fields..],
                );
                length += read;
                written += wrote;
                self.fields += fields;
                result
            };
            match result {
                ReadRecordResult::Record => {
                    check_utf8(&blocks.available()[..length])?;
                    return Ok(Some(length));
                }
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::InputEmpty => fill(blocks)?,
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
            }
        }
    }

    /// Whether an empty field of the row was written with quotes.
    pub(super) fn is_quoted(&mut self, record: &[u8], index: usize) -> bool {
        if memchr::memchr(self.quote, record).is_none() {
            return false;
        }
        let blank = record.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut at = blank;
        self.probe.reset();
        self.probe.read_field(b"\n", &mut [0; 1]);
        let mut scratch = [0; 1024];
        for _ in 0..index {
            loop {
                let (result, read, _) = self.probe.read_field(&record[at..], &mut scratch);
                at += read;
                match result {
                    ReadFieldResult::OutputFull => {}
                    ReadFieldResult::Field { .. } => break,
                    ReadFieldResult::InputEmpty | ReadFieldResult::End => return false,
                }
            }
        }
        record.get(at) == Some(&self.quote)
    }
}

fn fill(blocks: &mut Blocks) -> Result<(), RecordError> {
    match blocks.fill() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Err(RecordError::TooLong(MAX_RECORD))
        }
        Err(error) => Err(error.into()),
    }
}

/// The row as it stands in the file: two fields that are broken apart might be sound together.
#[inline]
fn check_utf8(record: &[u8]) -> Result<(), RecordError> {
    match std::str::from_utf8(record) {
        Ok(_) => Ok(()),
        Err(error) => Err(RecordError::NotUtf8 { offset: error.valid_up_to() }),
    }
}
