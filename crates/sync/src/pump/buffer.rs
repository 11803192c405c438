//! The pump's one buffer: whole lines are taken from its front, a partial line waits at its end.

use std::io::{self, ErrorKind, Read};

/// What one read asks for: large enough that system calls do not matter, small enough that the
/// lines are still in the processor's cache when they are written.
const BLOCK: usize = 256 * 1024;

/// A buffer that a long line has grown beyond this is given back once the line has passed.
const KEEP: usize = 2 * 1024 * 1024;

/// Bytes that were read and not yet handed over.
pub(super) struct Buffer {
    /// Everything from `filled` on is room.
    memory: Vec<u8>,
    filled: usize,
    /// No newline stands before this.
    searched: usize,
    largest: usize,
}

impl Buffer {
    /// For lines of up to `max_line` bytes.
    pub(super) fn new(max_line: usize) -> Self {
        let largest = max_line.saturating_add(1).max(BLOCK);
        Self { memory: vec![0; BLOCK], filled: 0, searched: 0, largest }
    }

    /// Reads once; 0 at the end of the source. The caller has made sure that a partial line is no
    /// longer than allowed, so that there is room or may be more.
    pub(super) fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        if self.memory.len() - self.filled < BLOCK / 2 {
            let grown = (self.memory.len() * 2).min(self.largest).max(self.filled + 1);
            if grown > self.memory.len() {
                self.memory.resize(grown, 0);
            }
        }
        loop {
            match source.read(&mut self.memory[self.filled..]) {
                Ok(read) => {
                    self.filled += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.filled]
    }

    /// The length of the whole lines at the front, newlines included.
    pub(super) fn whole_lines(&mut self) -> usize {
        let newline = memchr::memrchr(b'\n', &self.memory[self.searched..self.filled]);
        let length = newline.map_or(0, |newline| self.searched + newline + 1);
        self.searched = self.filled;
        length
    }

    /// Takes `length` bytes from the front.
    pub(super) fn consume(&mut self, length: usize) {
        self.memory.copy_within(length..self.filled, 0);
        self.filled -= length;
        self.searched = self.filled;
        if self.memory.len() > KEEP && self.filled <= BLOCK / 2 {
            self.memory.truncate(BLOCK);
            self.memory.shrink_to_fit();
        }
    }

    /// What is left.
    pub(super) fn into_rest(mut self) -> Vec<u8> {
        self.memory.truncate(self.filled);
        self.memory
    }
}
