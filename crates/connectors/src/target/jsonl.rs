//! `target-jsonl`: one file per stream, one record per line, in the very bytes that it came in.
//!
//! ACTIVATE_VERSION is passed over: a file that is only appended to cannot lose its old rows. The
//! schema is not checked against, so properties that it does not name are kept.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use flexcore_singer::{RecordMessage, SchemaMessage};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    environment::Environment,
    failure::Failure,
    log, settings,
    target::{
        error::{SinkError, TargetError},
        files::Files,
        sink::{Sink, StateHash},
        template::Template,
    },
};

/// Configuration of `target-jsonl`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonlSettings {
    /// A folder, which gets `<stream>.jsonl` for each stream, or a path with `{stream}` in it.
    path: String,
}

/// Makes the target from its configuration file.
pub(crate) fn open_jsonl(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Box<dyn Sink>, Failure> {
    let settings: JsonlSettings = settings::read(path)?;
    let template = Template::new(&settings.path, "jsonl");
    let files = Files::open(template, environment).map_err(TargetError::Open)?;
    Ok(Box::new(JsonlSink { files, streams: Vec::new(), last: 0 }))
}

struct JsonlSink {
    files: Files,
    /// Streams whose SCHEMA has come, and the index of the file of each.
    streams: Vec<(String, usize)>,
    /// Where the stream of the last record stands in the list: most records follow their like.
    last: usize,
}

impl JsonlSink {
    #[inline]
    fn file_of(&mut self, stream: &str) -> Result<usize, SinkError> {
        if self.streams.get(self.last).is_none_or(|(name, _)| name != stream) {
            let found = self.streams.iter().position(|(name, _)| name == stream);
            self.last = found.ok_or(SinkError::NoSchema)?;
        }
        Ok(self.streams[self.last].1)
    }
}

impl Sink for JsonlSink {
    fn schema(&mut self, message: &SchemaMessage<'_>) -> Result<(), SinkError> {
        if !self.streams.iter().any(|(name, _)| *name == message.stream) {
            let index = self.files.of_stream(&message.stream, &end_of_last_line)?;
            end_last_line(&mut self.files, index)?;
            self.streams.push((message.stream.clone().into_owned(), index));
        }
        Ok(())
    }

    #[inline]
    fn record(&mut self, record: &RecordMessage<'_>) -> Result<(), SinkError> {
        let index = self.file_of(&record.stream)?;
        let file = self.files.get(index);
        file.buffer().extend_from_slice(record.record.as_bytes());
        file.buffer().push(b'\n');
        file.flush_if_full()
    }

    fn activate_version(&mut self, stream: &str, _version: i64) -> Result<(), SinkError> {
        log::info(format_args!("stream '{stream}': files keep the rows of old versions"));
        Ok(())
    }

    fn checkpoint(&mut self, state: Option<&StateHash>) -> Result<(), SinkError> {
        self.files.checkpoint(state)
    }

    fn roll_back(&mut self) -> Result<(), SinkError> {
        self.files.roll_back()
    }
}

/// The end of the last line that is whole: one with its line end, or a last one that is sound JSON.
fn end_of_last_line(path: &Path) -> std::io::Result<u64> {
    let tail = Tail::read(path)?;
    let is_whole = tail.text.is_empty()
        || serde_json::from_slice::<&serde_json::value::RawValue>(&tail.text).is_ok();
    Ok(if is_whole { tail.start + tail.text.len() as u64 } else { tail.start })
}

/// Ends a last line that came without its line end, so that the next record has its own.
fn end_last_line(files: &mut Files, index: usize) -> Result<(), SinkError> {
    let file = files.get(index);
    let tail = Tail::read(file.path()).map_err(SinkError::file("read", file.path()))?;
    if !tail.text.is_empty() {
        file.buffer().push(b'\n');
    }
    Ok(())
}

/// What stands behind the last line end of a file.
struct Tail {
    start: u64,
    text: Vec<u8>,
}

impl Tail {
    /// Reads backwards in blocks until a line end is found.
    fn read(path: &Path) -> std::io::Result<Self> {
        const BLOCK: u64 = 64 << 10;
        let mut file = File::open(path)?;
        let mut start = file.metadata()?.len();
        let mut text: Vec<u8> = Vec::new();
        while start > 0 {
            let length = BLOCK.min(start);
            start -= length;
            file.seek(SeekFrom::Start(start))?;
            let mut block = Vec::new();
            (&mut file).take(length).read_to_end(&mut block)?;
            if let Some(at) = memchr::memrchr(b'\n', &block) {
                start += at as u64 + 1;
                block.drain(..=at);
                block.append(&mut text);
                return Ok(Self { start, text: block });
            }
            block.append(&mut text);
            text = block;
        }
        Ok(Self { start: 0, text })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_a_line_at_the_end_is_found_across_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let long = "x".repeat(200_000);
        for (content, whole) in [
            (String::new(), 0),
            ("{}\n".to_owned(), 3),
            ("{}\n{\"a\":".to_owned(), 3),
            ("{}\n{\"a\":1}".to_owned(), 10),
            (format!("{{}}\n{{\"a\":\"{long}"), 3),
            (format!("{{\"a\":\"{long}\"}}"), 200_008),
            (long.clone(), 0),
        ] {
            fs::write(&path, &content).unwrap();
            assert_eq!(end_of_last_line(&path).unwrap(), whole);
        }
    }
}
