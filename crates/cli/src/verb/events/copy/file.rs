//! The file at the other end of a copy, read and written as a stream.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use flexcore_app::{
    CopyError, EMPTY_LOG, LogFileError, LogFileHeader, ProvenBatches, batch_line, prove, read_batch,
};
use flexcore_ports::{LogBatch, LogHead, LogTransfer};

use super::{Progress, not_copied};
use crate::failure::{Code, Failure};

/// How much text of a file becomes one write of the destination.
const CHUNK: usize = 4 << 20;

/// How many batches do.
const BATCHES: usize = 500;

/// Writes a log into a file, which is there whole or not at all. An older export is replaced, any
/// other file is not.
pub(super) async fn export(
    log: &dyn LogTransfer,
    path: &Path,
    progress: &Progress,
) -> Result<LogHead, Failure> {
    must_not_be_another_file(path)?;
    let unfinished = Unfinished::beside(path);
    let mut file = BufWriter::new(unfinished.create().map_err(|error| cannot_write(path, &error))?);
    let mut batches = ProvenBatches::of(log);
    let mut read = batches.next().await.map_err(not_copied)?;
    let origin = read.first().and_then(|batch| batch.events.first()).map(|event| event.leaf);
    let line = |file: &mut BufWriter<File>, line: &str| {
        file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n"))
    };
    line(&mut file, &LogFileHeader::new(origin).line())
        .map_err(|error| cannot_write(path, &error))?;
    while !read.is_empty() {
        for batch in &read {
            line(&mut file, &batch_line(batch)).map_err(|error| cannot_write(path, &error))?;
        }
        progress.reached(batches.end());
        read = batches.next().await.map_err(not_copied)?;
    }
    let finish = || {
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        unfinished.publish(path)
    };
    finish().map_err(|error| cannot_write(path, &error))?;
    Ok(batches.end())
}

/// Adds the batches of a file to a log.
pub(super) async fn import(
    mut file: Batches,
    log: &dyn LogTransfer,
    progress: &Progress,
) -> Result<LogHead, Failure> {
    let mut end = EMPTY_LOG;
    loop {
        let batches = file.next()?;
        if batches.is_empty() {
            return Ok(end);
        }
        end = prove(&batches, end).map_err(|error| file.wrong(&error))?;
        log.write_batches(batches).await.map_err(|error| not_copied(error.into()))?;
        progress.reached(end);
    }
}

/// The batches of an exported log.
pub(super) struct Batches {
    path: PathBuf,
    reader: BufReader<File>,
    /// The number of the last line that was read.
    line: u64,
}

impl Batches {
    /// Opens a file and reads what it says that it is.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        let mut batches = Self { path: path.to_owned(), reader: BufReader::new(file), line: 0 };
        let header = batches.next_line()?.unwrap_or_default();
        LogFileHeader::read(&header).map_err(|error| batches.unreadable(&error))?;
        Ok(batches)
    }

    /// The next batches; none at the end of the file.
    fn next(&mut self) -> Result<Vec<LogBatch>, Failure> {
        let (mut batches, mut size) = (Vec::new(), 0);
        while size < CHUNK && batches.len() < BATCHES {
            let Some(line) = self.next_line()? else { break };
            size += line.len();
            batches.push(read_batch(&line).map_err(|error| self.unreadable(&error))?);
        }
        Ok(batches)
    }

    /// A line without its line feed. Bytes that are no text are replaced, and then are not what
    /// they should be.
    fn next_line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line);
        if read.map_err(|error| cannot_read(&self.path, &error))? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    fn unreadable(&self, error: &LogFileError) -> Failure {
        let (path, line) = (self.path.display(), self.line);
        Failure::new(Code::LogFile, format!("{path}, line {line}: {error}"))
            .hint("`flexcore events export FILE` writes such a file")
    }

    fn wrong(&self, error: &CopyError) -> Failure {
        Failure::new(Code::LogFile, format!("{}: {error}", self.path.display()))
            .hint("the file was changed after it was written; export the log again")
    }
}

/// A file that is removed unless it was published.
struct Unfinished {
    path: PathBuf,
    is_published: bool,
}

impl Unfinished {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        Self { path: name.into(), is_published: false }
    }

    /// For its owner only: it holds whatever the log does.
    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)
    }

    fn publish(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_published = true;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_published {
            // It may never have been made.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn must_not_be_another_file(path: &Path) -> Result<(), Failure> {
    if !path.exists() || Batches::open(path).is_ok() {
        return Ok(());
    }
    let message = format!("{} is there already and is no exported log", path.display());
    Err(Failure::new(Code::Exists, message).hint("name another file"))
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::File, format!("cannot read {}: {error}", path.display()))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::File, format!("cannot write {}: {error}", path.display()))
}
