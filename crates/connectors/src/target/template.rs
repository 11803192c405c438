//! Where the file of a stream is: a folder, or a path with `{stream}` in it.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

const PLACEHOLDER: &str = "{stream}";

/// What may not stand in a file name as it is. `%` is among them so that two streams never meet.
const UNSAFE: &AsciiSet = &CONTROLS.add(b'/').add(b'\\').add(b'%').add(b':');

/// A folder and the path of each stream's file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// The folder that holds all of the files, and their marks.
    pub(crate) root: PathBuf,
    relative: String,
}

impl Template {
    /// Reads the `path` of a configuration: with a placeholder it is the path itself, without it a
    /// folder that gets one file per stream with this extension.
    pub(crate) fn new(path: &str, extension: &str) -> Self {
        if !path.contains(PLACEHOLDER) {
            let relative = format!("{PLACEHOLDER}.{extension}");
            return Self { root: PathBuf::from(path), relative };
        }
        let before = path.find(PLACEHOLDER).unwrap_or_default();
        let (root, relative) = match path[..before].rfind('/') {
            Some(0) => ("/", &path[1..]),
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (".", path),
        };
        Self { root: PathBuf::from(root), relative: relative.to_owned() }
    }

    /// The stream's file, relative to the root.
    pub(crate) fn relative(&self, stream: &str) -> String {
        self.relative.replace(PLACEHOLDER, &file_name(stream))
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

/// A text as a file name that is its own: separators are encoded, and no name is hidden, special or
/// empty.
pub(crate) fn file_name(text: &str) -> String {
    let encoded = utf8_percent_encode(text, UNSAFE).to_string();
    match encoded.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None if encoded.is_empty() => "%".to_owned(),
        None => encoded,
    }
}

/// Makes the names in a folder durable: after a file was created, renamed or removed in it.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_placeholder_gives_the_file_of_a_stream() {
        let path = |template: &str, stream: &str| {
            let template = Template::new(template, "jsonl");
            let relative = template.relative(stream);
            (template.root.clone(), template.path(&relative))
        };
        assert_eq!(path("out", "a"), ("out".into(), "out/a.jsonl".into()));
        assert_eq!(path("out/{stream}/x.json", "a"), ("out".into(), "out/a/x.json".into()));
        assert_eq!(path("/{stream}", "a"), ("/".into(), "/a".into()));
        assert_eq!(path("{stream}.l", "a"), (".".into(), "./a.l".into()));
        assert_eq!(path("out/x-{stream}.l", "a"), ("out".into(), "out/x-a.l".into()));
    }

    #[test]
    fn streams_cannot_leave_the_folder_or_meet_each_other() {
        assert_eq!(file_name("public-orders"), "public-orders");
        assert_eq!(file_name("../../etc"), "%2E.%2F..%2Fetc");
        assert_eq!(file_name(".."), "%2E.");
        assert_eq!(file_name("a/b"), "a%2Fb");
        assert_eq!(file_name("a%2Fb"), "a%252Fb");
        assert_eq!(file_name("é"), "%C3%A9");
        assert_eq!(file_name(""), "%");
    }
}
