//! From the paths of the configuration to streams and their files.

use std::path::{Path, PathBuf};

use crate::tap::error::TapError;

/// A stream and the files that it is read from, in order of their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileStream {
    pub(crate) name: String,
    /// Index of the entry of the configuration that it comes from.
    pub(crate) entry: usize,
    pub(crate) files: Vec<PathBuf>,
}

/// Finds the files of each entry: `(path or pattern, stream name if given)`.
///
/// Without a stream name each file is a stream of its own, named by its file name without the
/// extension.
pub(crate) fn find_streams<'a>(
    entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Vec<FileStream>, TapError> {
    let mut streams: Vec<FileStream> = Vec::new();
    for (entry, (pattern, stream)) in entries.into_iter().enumerate() {
        let files = find_files(pattern)?;
        let found = match stream {
            Some(name) => vec![FileStream { name: name.to_owned(), entry, files }],
            None => files
                .into_iter()
                .map(|file| FileStream { name: stem(&file), entry, files: vec![file] })
                .collect(),
        };
        for stream in found {
            if streams.iter().any(|other| other.name == stream.name) {
                return Err(TapError::DuplicateStream { stream: stream.name });
            }
            streams.push(stream);
        }
    }
    Ok(streams)
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}

/// The file of this very name, else the files that match it as a pattern.
fn find_files(pattern: &str) -> Result<Vec<PathBuf>, TapError> {
    let plain = PathBuf::from(pattern);
    if plain.exists() || !pattern.contains(['*', '?', '[']) {
        return Ok(vec![plain]);
    }
    let paths = glob::glob(pattern)
        .map_err(|source| TapError::Pattern { pattern: pattern.to_owned(), source })?;
    let mut files = Vec::new();
    for path in paths {
        let path =
            path.map_err(|source| TapError::Search { pattern: pattern.to_owned(), source })?;
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(TapError::NoFile { pattern: pattern.to_owned() });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_pattern_is_one_stream_by_name_or_one_per_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "odd[1].csv"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let names = |entries: &[(&str, Option<&str>)]| -> Vec<(String, usize)> {
            let streams = find_streams(entries.iter().copied()).unwrap();
            streams.into_iter().map(|stream| (stream.name, stream.files.len())).collect()
        };
        let all = path("?.csv");
        assert_eq!(names(&[(&all, None)]), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(names(&[(&all, Some("both"))]), [("both".to_owned(), 2)]);
        assert_eq!(names(&[(&path("odd[1].csv"), None)]), [("odd[1]".to_owned(), 1)]);
    }

    #[test]
    fn no_match_and_two_streams_of_one_name_are_errors() {
        let none = find_streams([("/nowhere/*.csv", None)]).unwrap_err().to_string();
        assert_eq!(none, "no file matches '/nowhere/*.csv'");
        let twice = find_streams([("x/a.csv", None), ("y/a.csv", None)]).unwrap_err();
        assert!(matches!(twice, TapError::DuplicateStream { stream } if stream == "a"));
    }
}
