//! The pump: from what a tap prints to what a target reads, whole lines only.
//!
//! It reads large blocks, looks at kind and stream of each line ([`glance`]) and hands runs of
//! untouched lines over with one write, as the bytes they were. Lines that are no messages are cut
//! out of the run. Nothing here knows processes: a source, a sink and a listener are enough, and a
//! thread runs it over pipes ([`thread`]).

mod buffer;
mod counts;
mod line;
pub(crate) mod thread;

use std::{
    collections::HashSet,
    io::{self, ErrorKind, Read, Write},
    mem,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use flexcore_singer::{Kind, glance};
use sha2::{Digest as _, Sha256};

use buffer::Buffer;
pub(crate) use counts::Counts;
use line::{is_whole_object, stream_of_beginning};

/// Who hears of the few lines that are more than counted. Called between reading and writing: what
/// takes long here holds up the tap.
pub(crate) trait Listener {
    /// A SCHEMA line that was not seen before.
    fn schema(&mut self, stream: &str, line: &[u8]);

    /// Line `number` of the tap's output (from 1) is no message and is not handed over.
    fn rejected(&mut self, number: u64, line: &[u8]);
}

/// Why the pump stopped before the end of the tap's output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PumpError {
    /// Nothing of the line was handed over.
    #[error(
        "line {line} of its output{} is longer than `max_line` allows: {read} bytes of it were \
        read, {max_line} may pass; nothing of it was handed over; raise `max_line` of the step (up \
        to 1 GiB) or leave the large field out with `select`",
        of_stream(.stream.as_deref())
    )]
    LineTooLong {
        /// Counted from 1.
        line: u64,
        /// If its beginning tells.
        stream: Option<String>,
        /// How much was read of it before the pump stopped.
        read: usize,
        /// The limit, in bytes.
        max_line: usize,
    },
    /// JSON is UTF-8; a target could only guess.
    #[error(
        "line {line} of its output{} is not valid UTF-8 at byte {byte}, so it is not JSON and was \
        not handed over; make the tap decode its source's text",
        of_stream(.stream.as_deref())
    )]
    NotUtf8 {
        /// Counted from 1.
        line: u64,
        /// If its beginning tells.
        stream: Option<String>,
        /// Counted from 1.
        byte: usize,
    },
    /// The output ended inside a message.
    #[error(
        "its output ends in the middle of line {line}{}, after {read} bytes; the half line was not \
        handed over",
        of_stream(.stream.as_deref())
    )]
    HalfLine {
        /// Counted from 1.
        line: u64,
        /// If its beginning tells.
        stream: Option<String>,
        /// How much there is of it.
        read: usize,
    },
    /// The target closed its standard input, or died.
    #[error("the target stopped reading")]
    TargetClosed,
    /// The tap's output cannot be read.
    #[error("cannot read its output")]
    Read(#[source] io::Error),
    /// The target's input cannot be written.
    #[error("cannot write to the target")]
    Write(#[source] io::Error),
}

fn of_stream(stream: Option<&str>) -> String {
    stream.map_or_else(String::new, |stream| format!(" (stream `{stream}`)"))
}

/// One passage from a tap to a target.
pub(crate) struct Pump<'a, Sink> {
    sink: Sink,
    max_line: usize,
    counts: &'a Mutex<Counts>,
    /// Lines before the block at hand.
    lines: u64,
    /// Hashes of the SCHEMA lines that the listener has heard of.
    schemas: HashSet<[u8; 32]>,
    /// Where the block at hand has untouched lines; kept for its allocation.
    runs: Vec<Range<usize>>,
    notices: Vec<Notice>,
}

/// A line that the listener hears of once the counts are no longer held.
enum Notice {
    Schema { stream: String, line: Range<usize> },
    Rejected { number: u64, line: Range<usize> },
}

impl<'a, Sink: Write> Pump<'a, Sink> {
    /// A pump into `sink` for lines of up to `max_line` bytes without their newline.
    pub(crate) fn new(sink: Sink, max_line: usize, counts: &'a Mutex<Counts>) -> Self {
        let (schemas, runs, notices) = (HashSet::new(), Vec::new(), Vec::new());
        Self { sink, max_line, counts, lines: 0, schemas, runs, notices }
    }

    /// Hands lines over until `source` ends.
    pub(crate) fn run(
        &mut self,
        source: &mut impl Read,
        listener: &mut impl Listener,
    ) -> Result<(), PumpError> {
        let mut buffer = Buffer::new(self.max_line);
        while buffer.fill(source).map_err(PumpError::Read)? > 0 {
            let whole = buffer.whole_lines();
            if whole > 0 {
                self.hand_over(&buffer.bytes()[..whole], listener)?;
                buffer.consume(whole);
            }
            if buffer.bytes().len() > self.max_line {
                return Err(self.too_long(self.lines + 1, buffer.bytes()));
            }
        }
        self.finish(buffer.into_rest(), listener)
    }

    /// What stands behind the last newline: a message that only lacks its own, or nothing usable.
    fn finish(&mut self, mut rest: Vec<u8>, listener: &mut impl Listener) -> Result<(), PumpError> {
        let begins_as_message = rest.trim_ascii_start().starts_with(b"{");
        if begins_as_message && !is_whole_object(&rest) {
            return Err(PumpError::HalfLine {
                line: self.lines + 1,
                stream: stream_of_beginning(&rest),
                read: rest.len(),
            });
        }
        if rest.is_empty() {
            return Ok(());
        }
        rest.push(b'\n');
        self.hand_over(&rest, listener)
    }

    /// `block` holds whole lines.
    fn hand_over(&mut self, block: &[u8], listener: &mut impl Listener) -> Result<(), PumpError> {
        let before = self.lines;
        let stopped = self.sort_out(block);
        for notice in self.notices.drain(..) {
            match notice {
                Notice::Schema { stream, line } => listener.schema(&stream, &block[line]),
                Notice::Rejected { number, line } => listener.rejected(number, &block[line]),
            }
        }
        let runs = mem::take(&mut self.runs);
        let written = runs.iter().try_for_each(|run| self.write(block, run.clone(), before));
        self.runs = runs;
        written?;
        stopped.map_or(Ok(()), Err)
    }

    /// Counts the lines of a block and notes which runs of them may pass; stops at a line that is
    /// too long.
    fn sort_out(&mut self, block: &[u8]) -> Option<PumpError> {
        self.runs.clear();
        let shared = self.counts;
        let mut counts = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut run, mut start) = (0, 0);
        let mut stopped = None;
        for end in memchr::memchr_iter(b'\n', block) {
            let line = &block[start..end];
            self.lines += 1;
            if line.len() > self.max_line {
                stopped = Some(self.too_long(self.lines, line));
                break;
            }
            let seen = glance(line);
            match seen.kind {
                Kind::Record => counts.record(seen.stream.as_deref(), line.len() as u64 + 1),
                Kind::NotJson => {
                    if run < start {
                        self.runs.push(run..start);
                    }
                    run = end + 1;
                    if !line.trim_ascii().is_empty() {
                        counts.reject();
                        let (number, line) = (self.lines, start..end);
                        self.notices.push(Notice::Rejected { number, line });
                    }
                }
                Kind::Schema => self.note_schema(seen.stream.as_deref(), line, start),
                Kind::State | Kind::ActivateVersion | Kind::Batch | Kind::Unknown => {}
            }
            start = end + 1;
        }
        if run < start {
            self.runs.push(run..start);
        }
        stopped
    }

    fn note_schema(&mut self, stream: Option<&str>, line: &[u8], start: usize) {
        let Some(stream) = stream else { return };
        if self.schemas.insert(Sha256::digest(line).into()) {
            let (stream, line) = (stream.to_owned(), start..start + line.len());
            self.notices.push(Notice::Schema { stream, line });
        }
    }

    /// Writes the lines of a run, up to the first that is not UTF-8.
    fn write(&mut self, block: &[u8], run: Range<usize>, lines: u64) -> Result<(), PumpError> {
        let bytes = &block[run.clone()];
        let Err(error) = std::str::from_utf8(bytes) else { return self.write_all(bytes) };
        let sound = &bytes[..error.valid_up_to()];
        let start = memchr::memrchr(b'\n', sound).map_or(0, |newline| newline + 1);
        self.write_all(&bytes[..start])?;
        let newlines = memchr::memchr_iter(b'\n', &block[..run.start + start]).count() as u64;
        Err(PumpError::NotUtf8 {
            line: lines + newlines + 1,
            stream: stream_of_beginning(&bytes[start..]),
            byte: sound.len() - start + 1,
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), PumpError> {
        self.sink.write_all(bytes).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => PumpError::TargetClosed,
            _ => PumpError::Write(error),
        })
    }

    fn too_long(&self, line: u64, beginning: &[u8]) -> PumpError {
        PumpError::LineTooLong {
            line,
            stream: stream_of_beginning(beginning),
            read: beginning.len(),
            max_line: self.max_line,
        }
    }
}

#[cfg(test)]
mod tests;
