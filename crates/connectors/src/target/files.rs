//! Output in append-only files, one per stream, that can be taken back to a mark.
//!
//! A file is locked (flock) while it is written, so that one output has one writer. Writes end
//! between records. A run that was killed may still leave half a record at the end of a file; a
//! format tells where its last whole record ends ([`Torn`]), and the rest is cut before appending.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    environment::Environment,
    log,
    target::{
        error::SinkError,
        marks::Marks,
        sink::StateHash,
        template::{Template, sync_folder},
    },
};

/// Written to the file once this much has gathered.
const FLUSH_AT: usize = 256 << 10;

/// Tells the length up to the end of the last whole record of a file of this length.
pub(crate) type Torn<'a> = &'a dyn Fn(&Path) -> std::io::Result<u64>;

/// The files of one target.
#[derive(Debug)]
pub(crate) struct Files {
    template: Template,
    /// `None` when run by hand: nothing is ever resumed then.
    marks: Option<Marks>,
    open: Vec<OutputFile>,
}

/// One file being written.
#[derive(Debug)]
pub(crate) struct OutputFile {
    relative: String,
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Length in the file system.
    written: u64,
    /// Length at the last checkpoint.
    durable: u64,
    needs_sync: bool,
}

impl Files {
    /// Prepares the output; a resumed execution is taken back to its committed mark.
    pub(crate) fn open(template: Template, environment: &Environment) -> Result<Self, SinkError> {
        fs::create_dir_all(&template.root).map_err(SinkError::file("create", &template.root))?;
        let marks = match environment.owner() {
            None => None,
            Some(owner) => {
                let committed = environment.committed_state.as_deref();
                let (marks, lengths) = Marks::open(&template.root, &owner, committed)?;
                for (relative, length) in lengths {
                    take_back(&template.path(&relative), length)?;
                }
                Some(marks)
            }
        };
        Ok(Self { template, marks, open: Vec::new() })
    }

    /// Whether an execution may come back to this output.
    pub(crate) fn can_be_resumed(&self) -> bool {
        self.marks.is_some()
    }

    /// The index of the file of a stream, which is opened if it is not yet; `torn` finds the end of
    /// the last whole record of a file that exists.
    pub(crate) fn of_stream(&mut self, stream: &str, torn: Torn<'_>) -> Result<usize, SinkError> {
        let relative = self.template.relative(stream);
        if let Some(index) = self.open.iter().position(|file| file.relative == relative) {
            return Ok(index);
        }
        let path = self.template.path(&relative);
        let output = OutputFile::open(relative, path, torn)?;
        if let Some(marks) = &mut self.marks {
            marks.opened(&output.relative, output.written)?;
        }
        self.open.push(output);
        Ok(self.open.len() - 1)
    }

    #[inline]
    pub(crate) fn get(&mut self, index: usize) -> &mut OutputFile {
        &mut self.open[index]
    }

    /// Makes everything durable and marks it.
    pub(crate) fn checkpoint(&mut self, state: Option<&StateHash>) -> Result<(), SinkError> {
        for file in &mut self.open {
            file.sync()?;
        }
        if let (Some(marks), Some(state)) = (&mut self.marks, state) {
            let lengths = self.open.iter().map(|f| (f.relative.clone(), f.written)).collect();
            marks.state(state, &lengths)?;
        }
        for file in &mut self.open {
            file.durable = file.written;
        }
        Ok(())
    }

    /// Takes every file back to the last checkpoint.
    pub(crate) fn roll_back(&mut self) -> Result<(), SinkError> {
        self.open.iter_mut().try_for_each(OutputFile::roll_back)
    }
}

/// Cuts a file to its mark, so that what follows can be written again.
fn take_back(path: &Path, length: u64) -> Result<(), SinkError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && length == 0 => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SinkError::Shorter { path: path.to_owned(), length: 0, marked: length });
        }
        Err(error) => return Err(SinkError::file("open", path)(error)),
    };
    lock(&file, path)?;
    let found = file.metadata().map_err(SinkError::file("read", path))?.len();
    if found < length {
        return Err(SinkError::Shorter { path: path.to_owned(), length: found, marked: length });
    }
    if found > length {
        file.set_len(length)
            .and_then(|()| file.sync_all())
            .map_err(SinkError::file("cut", path))?;
        log::info(format_args!(
            "{}: took back {} bytes behind the committed position",
            path.display(),
            found - length
        ));
    }
    Ok(())
}

fn lock(file: &File, path: &Path) -> Result<(), SinkError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SinkError::Locked(path.to_owned())),
        Err(error) => Err(SinkError::file("lock", path)(error.into())),
    }
}

impl OutputFile {
    fn open(relative: String, path: PathBuf, torn: Torn<'_>) -> Result<Self, SinkError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(SinkError::file("create", folder))?;
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(SinkError::file("open", &path))?;
        lock(&file, &path)?;
        if is_new {
            sync_folder(folder).map_err(SinkError::file("sync", folder))?;
        }
        let length = file.metadata().map_err(SinkError::file("read", &path))?.len();
        let whole =
            if length == 0 { 0 } else { torn(&path).map_err(SinkError::file("read", &path))? };
        if whole < length {
            log::warn(format_args!(
                "{} ends with half a record of a run that was killed; cutting {} bytes",
                path.display(),
                length - whole
            ));
            file.set_len(whole).map_err(SinkError::file("cut", &path))?;
        }
        let buffer = Vec::new();
        Ok(Self {
            relative,
            path,
            file,
            buffer,
            written: whole,
            durable: whole,
            needs_sync: whole < length,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length with what is still in the buffer.
    pub(crate) fn length(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// The buffer to append whole records to; [`Self::flush_if_full`] is to follow.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    #[inline]
    pub(crate) fn flush_if_full(&mut self) -> Result<(), SinkError> {
        if self.buffer.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.needs_sync = true;
        self.file.write_all(&self.buffer).map_err(SinkError::file("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(2 * FLUSH_AT);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        if std::mem::take(&mut self.needs_sync) {
            self.file.sync_data().map_err(SinkError::file("sync", &self.path))?;
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), SinkError> {
        self.buffer.clear();
        self.file.set_len(self.durable).map_err(SinkError::file("cut", &self.path))?;
        self.written = self.durable;
        Ok(())
    }
}
