//! Drives a file format over the files of each stream: bookmarks, selection, increments.

use std::path::{Path, PathBuf};

use flexcore_singer::{Catalog, CatalogStream, SchemaMessage, State};

use crate::{
    log, settings,
    stop::Stop,
    tap::{
        Output, Tap,
        blocks::Blocks,
        bookmark::{FileMark, StreamBookmark},
        discovery,
        error::{RecordError, TapError},
        files::FileStream,
        format::RecordFormat,
        increment::{Increment, Position},
    },
};

/// A STATE is sent after this many records …
const STATE_RECORDS: u64 = 50_000;
/// … or after this much of a file: what a crash costs at most.
const STATE_BYTES: u64 = 16 << 20;
/// Types are inferred from this many files of a stream; later ones may still widen them.
const SAMPLE_FILES: usize = 100;

/// One stream and how it is configured.
pub(crate) struct StreamSource<F> {
    pub(crate) stream: FileStream,
    pub(crate) key: Vec<String>,
    pub(crate) replication_key: Option<String>,
    /// Makes the format, which knows nothing yet.
    pub(crate) format: F,
}

/// A tap on streams of files.
pub(crate) struct FileTap<F> {
    pub(crate) sources: Vec<StreamSource<F>>,
}

impl<F: RecordFormat + Clone> Tap for FileTap<F> {
    fn discover(&self) -> Result<Catalog, TapError> {
        let streams: Result<_, _> = self.sources.iter().map(discovery::discover_stream).collect();
        Ok(Catalog::new(streams?))
    }

    fn sync(
        &mut self,
        catalog: Option<&Catalog>,
        state: &State,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<(), TapError> {
        let mut state = state.clone();
        for source in &self.sources {
            let entry = catalog.and_then(|catalog| catalog.stream(&source.stream.name));
            let is_selected = match (catalog, entry) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(_), Some(entry)) => entry.is_selected(),
            };
            if !is_selected {
                continue;
            }
            let mut run = StreamRun::start(source, entry, &state)?;
            let ended = run.read_files(&mut state, output, stop)?;
            log::record_count(&source.stream.name, run.records);
            if !ended {
                log::info("stopped by a signal");
                break;
            }
        }
        output.flush().map_err(TapError::Output)
    }
}

pub(crate) fn sample<'a, F: RecordFormat>(
    format: &mut F,
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<(), TapError> {
    for path in files.take(SAMPLE_FILES) {
        let mut blocks = open(path)?;
        format.sample(&mut blocks).map_err(|source| located(path, format.line(), source))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Blocks, TapError> {
    Blocks::open(path).map_err(|source| TapError::Open { path: path.to_owned(), source })
}

fn located(path: &Path, line: u64, source: RecordError) -> TapError {
    TapError::Record { path: path.to_owned(), line, source }
}

/// Keys must exist, if anything is known of the stream at all.
pub(crate) fn check_columns<F: RecordFormat>(
    source: &StreamSource<F>,
    format: &F,
    replication_key: Option<&str>,
) -> Result<(), TapError> {
    let properties = format.properties();
    let keys = source.key.iter().map(|key| (key.as_str(), "key"));
    for (column, role) in keys.chain(replication_key.map(|key| (key, "replication_key"))) {
        if !properties.is_empty() && !properties.contains(&column) {
            return Err(TapError::MissingColumn {
                stream: source.stream.name.clone(),
                column: column.to_owned(),
                role,
                hint: settings::hint(column, properties.iter().copied()),
            });
        }
    }
    Ok(())
}

/// One stream on its way.
struct StreamRun<'a, F> {
    source: &'a StreamSource<F>,
    format: F,
    bookmark: StreamBookmark,
    increment: Option<Increment>,
    /// A stream that is read in full keeps no bookmark.
    keeps_bookmark: bool,
    has_schema: bool,
    records: u64,
    records_at_state: u64,
    offset_at_state: u64,
}

/// Where one file stands at the start of its turn.
enum Turn {
    /// Nothing to read.
    Unchanged,
    Read {
        blocks: Blocks,
        inclusive: bool,
    },
}

impl<'a, F: RecordFormat + Clone> StreamRun<'a, F> {
    fn start(
        source: &'a StreamSource<F>,
        entry: Option<&CatalogStream>,
        state: &State,
    ) -> Result<Self, TapError> {
        let stream = &source.stream.name;
        let text = |key| entry?.root_metadata(key)?.as_str();
        let keeps_bookmark = text("replication-method") != Some("FULL_TABLE");
        let bookmark = match state.stream(stream) {
            Some(json) if keeps_bookmark => StreamBookmark::parse(json)
                .map_err(|problem| TapError::Bookmark { stream: stream.clone(), problem })?,
            _ => StreamBookmark::default(),
        };
        let key = text("replication-key").map(str::to_owned).or(source.replication_key.clone());
        let mut format = source.format.clone();
        let unread = source.stream.files.iter().filter(|path| !is_unchanged(path, &bookmark));
        sample(&mut format, unread)?;
        format.widen_to(&bookmark.types);
        if let Some(entry) = entry {
            format.apply(entry);
        }
        let key = key.filter(|_| keeps_bookmark);
        check_columns(source, &format, key.as_deref())?;
        let mut run = Self {
            source,
            format,
            bookmark,
            increment: None,
            keeps_bookmark,
            has_schema: false,
            records: 0,
            records_at_state: 0,
            offset_at_state: 0,
        };
        run.begin_increment(key);
        Ok(run)
    }

    /// Values of another column say nothing about this one.
    fn begin_increment(&mut self, key: Option<String>) {
        if self.bookmark.replication_key != key {
            if self.bookmark.value.is_some() {
                log::warn(format_args!(
                    "stream '{}': the bookmark is of another replication key; reading all rows",
                    self.source.stream.name
                ));
            }
            self.bookmark = StreamBookmark {
                types: std::mem::take(&mut self.bookmark.types),
                ..StreamBookmark::default()
            };
        }
        self.bookmark.replication_key.clone_from(&key);
        self.increment = key.map(|property| Increment {
            property,
            threshold: self.bookmark.value.as_ref().map(Position::of),
            maximum: self.bookmark.maximum.as_ref().map(Position::of),
        });
    }

    /// False if a signal stopped it.
    fn read_files(
        &mut self,
        state: &mut State,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<bool, TapError> {
        // A stream of empty files has no columns: there is nothing to say of it.
        if !self.format.properties().is_empty() {
            self.write_schema(output);
        }
        let files = &self.source.stream.files;
        let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
        self.bookmark.files.retain(|(name, _)| names.iter().any(|known| known == name));
        for (path, name) in files.iter().zip(&names) {
            if let Turn::Read { mut blocks, inclusive } = self.begin(path, name, output)? {
                let ended =
                    self.read_file((path, name), &mut blocks, inclusive, (output, state), stop)?;
                self.mark(name, &mut blocks, ended, inclusive);
                if !ended {
                    self.write_state(state, output)?;
                    return Ok(false);
                }
            }
        }
        if let Some(increment) = &self.increment {
            let reached = increment.maximum.as_ref().or(increment.threshold.as_ref());
            self.bookmark.value = reached.map(Position::to_json);
            self.bookmark.maximum = None;
        }
        self.write_state(state, output)?;
        Ok(true)
    }

    /// Decides where to begin in a file: nowhere, behind what was read, or at its start.
    fn begin(&mut self, path: &Path, name: &str, output: &mut Output) -> Result<Turn, TapError> {
        let mark = self.bookmark.file(name).cloned();
        let mut blocks = open(path)?;
        if mark.as_ref().is_some_and(|mark| mark.is_of(blocks.stamp())) {
            return Ok(Turn::Unchanged);
        }
        self.begin_file(path, &mut blocks, output)?;
        let Some(mark) = mark else { return Ok(Turn::Read { blocks, inclusive: false }) };
        if continues(&mut blocks, &mark).map_err(|error| located(path, 1, error.into()))? {
            self.format.resume_at(mark.line);
            let inclusive = mark.finished || mark.inclusive;
            return Ok(Turn::Read { blocks, inclusive });
        }
        log::info(format_args!("{name} was replaced since it was last read; reading all of it"));
        let mut blocks = open(path)?;
        self.begin_file(path, &mut blocks, output)?;
        Ok(Turn::Read { blocks, inclusive: false })
    }

    fn begin_file(
        &mut self,
        path: &Path,
        blocks: &mut Blocks,
        output: &mut Output,
    ) -> Result<(), TapError> {
        let changed = self
            .format
            .begin_file(blocks)
            .map_err(|source| located(path, self.format.line(), source))?;
        if changed {
            self.write_schema(output);
        }
        Ok(())
    }

    /// Reads a file to its end; false if a signal stopped it before.
    fn read_file(
        &mut self,
        (path, name): (&Path, &str),
        blocks: &mut Blocks,
        inclusive: bool,
        (output, state): (&mut Output, &mut State),
        stop: &Stop,
    ) -> Result<bool, TapError> {
        self.offset_at_state = blocks.offset();
        while !stop.is_requested() {
            let found = self.format.next(blocks);
            let Some(length) = found.map_err(|e| located(path, self.format.line(), e))? else {
                return Ok(true);
            };
            self.send(&blocks.available()[..length], inclusive, output)
                .map_err(|source| located(path, self.format.line(), source))?;
            blocks.consume(length);
            output.flush_if_full().map_err(TapError::Output)?;
            if self.records - self.records_at_state >= STATE_RECORDS
                || blocks.offset() - self.offset_at_state >= STATE_BYTES
            {
                self.mark(name, blocks, false, inclusive);
                self.write_state(state, output)?;
                self.offset_at_state = blocks.offset();
            }
        }
        Ok(false)
    }

    /// Writes one record, if it is new.
    #[inline]
    fn send(
        &mut self,
        record: &[u8],
        inclusive: bool,
        output: &mut Output,
    ) -> Result<(), RecordError> {
        if let Some(increment) = &mut self.increment {
            let value = self.format.key_value(record, &increment.property)?;
            if !increment.admits(value, inclusive) {
                return Ok(());
            }
            increment.note(value);
        }
        if !self.has_schema {
            self.write_schema(output);
        }
        let start = output.buffer.len();
        while !self.format.write(record, &mut output.buffer)? {
            output.buffer.truncate(start);
            self.write_schema(output);
        }
        self.records += 1;
        Ok(())
    }

    fn mark(&mut self, name: &str, blocks: &mut Blocks, finished: bool, inclusive: bool) {
        let mark = FileMark {
            offset: blocks.offset(),
            line: self.format.next_line(),
            stamp: blocks.stamp(),
            sha256: blocks.digest(),
            finished,
            inclusive: inclusive && !finished,
        };
        self.bookmark.set_file(name, mark);
    }

    fn write_schema(&mut self, output: &mut Output) {
        let message = SchemaMessage {
            stream: self.source.stream.name.as_str().into(),
            schema: self.format.schema().to_string().into(),
            key_properties: self.source.key.clone(),
            bookmark_properties: self.increment.iter().map(|i| i.property.clone()).collect(),
        };
        output.schema(&message);
        self.has_schema = true;
    }

    fn write_state(&mut self, state: &mut State, output: &mut Output) -> Result<(), TapError> {
        self.records_at_state = self.records;
        if !self.keeps_bookmark {
            return Ok(());
        }
        self.bookmark.types = self.format.types();
        if let Some(increment) = &self.increment {
            let pending = increment.maximum.as_ref().map(Position::to_json);
            self.bookmark.maximum =
                pending.filter(|value| Some(value) != self.bookmark.value.as_ref());
        }
        state.set_stream(&self.source.stream.name, self.bookmark.to_json());
        output.state(state).map_err(TapError::Output)
    }
}

fn is_unchanged(path: &Path, bookmark: &StreamBookmark) -> bool {
    let Some(mark) = bookmark.file(&path.to_string_lossy()) else { return false };
    Blocks::open(path).is_ok_and(|blocks| mark.is_of(blocks.stamp()))
}

/// Moves to the mark; whether the file up to there is still what was read, and goes on with a new
/// record there.
fn continues(blocks: &mut Blocks, mark: &FileMark) -> std::io::Result<bool> {
    if blocks.offset() > mark.offset || !blocks.skip_to(mark.offset)? {
        return Ok(false);
    }
    if blocks.digest() != mark.sha256 {
        return Ok(false);
    }
    let at_line_start = matches!(blocks.last_consumed(), None | Some(b'\n' | b'\r'));
    if !at_line_start && blocks.available().is_empty() {
        blocks.fill()?;
    }
    // A last row without its line end was taken as it stood. If the file now goes on in the same
    // row, that row was half written when it was read.
    let next_is_line_end = matches!(blocks.available().first(), None | Some(b'\n' | b'\r'));
    Ok(at_line_start || next_is_line_end)
}
