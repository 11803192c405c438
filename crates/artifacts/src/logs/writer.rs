//! The file of one log: its size limit, and a disk that is full.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use flexcore_eventsourcing::Timestamp;
use flexcore_ports::LogSource;

use super::line;
use crate::folder;

/// Buffered lines are written once they are this many bytes.
const BUFFER_BYTES: usize = 32 * 1024;

/// Room that is kept for the line that says that a log is full; that line is shorter.
const MARKER_BYTES: u64 = 256;

/// Writes lines to the file of one log.
///
/// The file holds whole lines: what a full disk took only in part is cut off again. Lines that
/// could not be written are counted, and once the disk has room the log says how many are missing.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` while it cannot be opened.
    file: Option<File>,
    /// Bytes in the file.
    length: u64,
    max_bytes: u64,
    /// Whether the line that ends a full log has been added.
    full: bool,
    buffer: Vec<u8>,
    /// Lines that are missing at the end of the file.
    lost: u64,
    /// Whether the buffer begins with the line that says how many lines are missing.
    tells_lost: bool,
    reported: bool,
}

impl Writer {
    /// Opens a log, to go on at its end if it exists.
    ///
    /// # Errors
    /// Those of the system, but for a full disk, which is no reason not to run an attempt.
    pub(super) fn open(path: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let mut writer = Self {
            path,
            file: None,
            length: 0,
            max_bytes,
            full: false,
            buffer: Vec::new(),
            lost: 0,
            tells_lost: false,
            reported: false,
        };
        if let Err(error) = writer.file() {
            if !is_full_disk(&error) {
                return Err(error);
            }
            writer.report(&error);
        }
        writer.full = writer.length > writer.room();
        Ok(writer)
    }

    /// Adds a line; past the size limit, only one that says so.
    pub(super) fn add(&mut self, time: Timestamp, source: LogSource, text: &str) {
        if self.full {
            return;
        }
        if self.lost > 0 && self.buffer.is_empty() {
            let gap = format!("{} lines are missing: the log could not be written", self.lost);
            line::encode(&mut self.buffer, time, LogSource::Runner.as_str(), &gap);
            self.tells_lost = true;
        }
        let before = self.buffer.len();
        line::encode(&mut self.buffer, time, source.as_str(), text);
        if self.length + self.buffer.len() as u64 > self.room() {
            self.buffer.truncate(before);
            let end = format!("the log is full ({} bytes); the rest was dropped", self.max_bytes);
            line::encode(&mut self.buffer, time, LogSource::Runner.as_str(), &end);
            self.full = true;
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush();
        }
    }

    /// Whether lines wait to be written.
    pub(super) fn is_waiting(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Writes out what waits. What cannot be written is counted as missing, and reported once.
    pub(super) fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let buffer = std::mem::take(&mut self.buffer);
        let (kept, result) = self.write(&buffer);
        self.length += kept as u64;
        if kept > 0 && self.tells_lost {
            self.lost = 0;
        }
        if let Err(error) = result {
            let missing = count_lines(&buffer[kept..]);
            let told = u64::from(self.tells_lost && kept == 0);
            self.lost += missing - told;
            // The line that ends a full log may be among them; then it comes later.
            self.full = false;
            self.report(&error);
        }
        self.tells_lost = false;
        self.buffer = buffer;
        self.buffer.clear();
    }

    /// Writes whole lines, as many as there is room for, and says how many bytes they are.
    fn write(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let file = match self.file() {
            Ok(file) => file,
            Err(error) => return (0, Err(error)),
        };
        let (written, result) = write_most(file, bytes);
        if result.is_ok() {
            return (written, result);
        }
        let kept = bytes[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let length = self.length + kept as u64;
        // Where it cannot be cut, opening it again ends the half line.
        self.file.take_if(|file| file.set_len(length).is_err());
        (kept, result)
    }

    fn file(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let (file, length) = open_for_lines(&self.path)?;
            (self.file, self.length) = (Some(file), length);
        }
        Ok(self.file.as_mut().expect("opened above"))
    }

    /// How many bytes lines may take.
    fn room(&self) -> u64 {
        self.max_bytes.saturating_sub(MARKER_BYTES)
    }

    fn report(&mut self, error: &io::Error) {
        if !self.reported {
            self.reported = true;
            let path = self.path.display();
            tracing::warn!(%path, %error, "lines are missing in a log that cannot be written");
        }
    }
}

/// Opens a file to add lines to it, with the folders above it, and says how long it is. A half
/// line at its end, which a killed process left, is ended first.
pub(super) fn open_for_lines(path: &Path) -> io::Result<(File, u64)> {
    if let Some(parent) = path.parent() {
        folder::create(parent)?;
    }
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
        length += 1;
    }
    Ok((file, length))
}

fn is_full_disk(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Like `write_all`, but says how much was written when it fails.
fn write_most(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.split_inclusive(|byte| *byte == b'\n').count() as u64
}
