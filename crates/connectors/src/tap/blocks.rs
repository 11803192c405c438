//! One file, read in blocks so that a record is always in one piece, and hashed as it is consumed.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// How much is read at once.
const BLOCK: usize = 256 << 10;
/// Longer records are refused: they are files with a missing quote or line end.
pub(crate) const MAX_RECORD: usize = 256 << 20;

/// What tells one version of a file from another without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) inode: u64,
    /// Time of the last change of its content, in nanoseconds since 1970.
    pub(crate) modified_ns: i64,
}

/// Reads a file from its beginning.
#[derive(Debug)]
pub(crate) struct Blocks {
    file: File,
    stamp: Stamp,
    buffer: Vec<u8>,
    /// Where the bytes that are not consumed begin and end.
    start: usize,
    end: usize,
    /// Bytes of the buffer before this index are in the hash.
    hashed: usize,
    hasher: Sha256,
    offset: u64,
    ended: bool,
}

impl Blocks {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let stamp = Stamp {
            size: metadata.size(),
            inode: metadata.ino(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        };
        Ok(Self {
            file,
            stamp,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            hashed: 0,
            hasher: Sha256::new(),
            offset: 0,
            ended: false,
        })
    }

    /// The file as it was when it was opened.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Position of the first byte that is not consumed.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that are read and not consumed.
    #[inline]
    pub(crate) fn available(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the file has been read to its end; bytes may still be available.
    pub(crate) fn is_at_end(&self) -> bool {
        self.ended
    }

    /// Passes over bytes that are available.
    #[inline]
    pub(crate) fn consume(&mut self, length: usize) {
        self.start += length;
        self.offset += length as u64;
    }

    /// Reads more behind what is available; false at the end of the file.
    ///
    /// What is available stays available, in one piece.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.hash_consumed();
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.hashed = 0;
        if self.end == self.buffer.len() {
            if self.end >= MAX_RECORD {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(length) => self.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(!self.ended);
        }
    }

    /// Consumes up to a position of the file; false if the file ends before it.
    pub(crate) fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        while self.offset < offset {
            let missing = offset - self.offset;
            let length = self.available().len();
            self.consume(length.min(usize::try_from(missing).unwrap_or(usize::MAX)));
            if self.offset < offset && !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// SHA-256 of everything consumed.
    pub(crate) fn digest(&mut self) -> String {
        self.hash_consumed();
        hex::encode(self.hasher.clone().finalize())
    }

    /// The last byte consumed, if it is still at hand.
    pub(crate) fn last_consumed(&self) -> Option<u8> {
        self.start.checked_sub(1).map(|index| self.buffer[index])
    }

    fn hash_consumed(&mut self) {
        self.hasher.update(&self.buffer[self.hashed..self.start]);
        self.hashed = self.start;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn records_across_blocks_stay_in_one_piece_and_the_hash_covers_what_is_consumed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let content: Vec<u8> = (0..=250_u8).cycle().take(3 * BLOCK + 17).collect();
        fs::write(&path, &content).unwrap();
        let mut blocks = Blocks::open(&path).unwrap();
        while blocks.available().len() < 2 * BLOCK {
            assert!(blocks.fill().unwrap());
        }
        assert_eq!(&blocks.available()[..2 * BLOCK], &content[..2 * BLOCK]);
        blocks.consume(1000);
        assert_eq!(blocks.digest(), hex::encode(Sha256::digest(&content[..1000])));
        assert!(blocks.skip_to(content.len() as u64).unwrap());
        assert_eq!(blocks.digest(), hex::encode(Sha256::digest(&content)));
        assert!(!blocks.skip_to(content.len() as u64 + 1).unwrap());
    }
}
