//! BATCH: records in JSON Lines files that the tap names.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
};

use flexcore_singer::{BatchMessage, RecordMessage, members};
use percent_encoding::percent_decode_str;

use crate::target::{error::SinkError, sink::Sink};

/// Hands the records of all files to the sink, in order.
pub(crate) fn take(message: &BatchMessage<'_>, sink: &mut dyn Sink) -> Result<(), SinkError> {
    if message.format != "jsonl" {
        return Err(SinkError::Batch(format!(
            "of format '{}' is not supported; only jsonl is",
            message.format
        )));
    }
    if let Some(compression) = message.compression.as_deref().filter(|name| *name != "none") {
        return Err(SinkError::Batch(format!(
            "with compression '{compression}' is not supported; configure the tap to send plain jsonl"
        )));
    }
    message.manifest.iter().try_for_each(|url| take_file(&message.stream, url, sink))
}

fn take_file(stream: &str, url: &str, sink: &mut dyn Sink) -> Result<(), SinkError> {
    let path = local_path(url)?;
    let file = File::open(&path).map_err(SinkError::file("open", &path))?;
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        if read.map_err(SinkError::file("read", &path))? == 0 {
            return Ok(());
        }
        number += 1;
        let broken = |problem: String| {
            SinkError::Batch(format!("file {}, line {number}: {problem}", path.display()))
        };
        let text = std::str::from_utf8(&line).map_err(|_| broken("not UTF-8".to_owned()))?.trim();
        if text.is_empty() {
            continue;
        }
        members(text).try_for_each(|member| member.map(drop)).map_err(|e| broken(e.to_string()))?;
        let record = RecordMessage {
            stream: stream.into(),
            record: text,
            version: None,
            time_extracted: None,
        };
        sink.record(&record).map_err(|error| broken(crate::log::chain(&error)))?;
    }
}

fn local_path(url: &str) -> Result<PathBuf, SinkError> {
    let refused = || SinkError::Batch(format!("file '{url}' is not local; only file:// URLs are"));
    let path = url.strip_prefix("file://").ok_or_else(refused)?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    if !path.starts_with('/') {
        return Err(refused());
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| refused())?;
    Ok(PathBuf::from(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_urls_are_paths() {
        assert_eq!(local_path("file:///tmp/a%20b").unwrap(), PathBuf::from("/tmp/a b"));
        assert_eq!(local_path("file://localhost/tmp/a").unwrap(), PathBuf::from("/tmp/a"));
        for url in ["s3://bucket/a", "file://host/a", "/tmp/a", "file:///%ff"] {
            assert!(local_path(url).is_err(), "{url}");
        }
    }
}
