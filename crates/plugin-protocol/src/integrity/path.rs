//! Paths inside a plugin's folder.

use std::fmt;

/// Longest path inside a plugin.
const MAX_BYTES: usize = 1024;
/// Longest name of one file or folder; what file systems take.
const MAX_NAME_BYTES: usize = 255;
/// How deep folders may nest.
const MAX_DEPTH: usize = 64;

/// A relative path with `/`, without `.`, `..`, empty parts, `\` and control characters: the same
/// file on every machine, and one line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentPath(String);

/// Why a path cannot be inside a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContentPath {
    /// Nothing.
    #[error("the path is empty")]
    Empty,
    /// It begins with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// It has `..`.
    #[error("the path has `..`")]
    Parent,
    /// It has `.` or two `/` in a row, or ends with `/`.
    #[error("the path has an empty part or `.`")]
    NotNormal,
    /// It is not UTF-8, or has control characters or `\`.
    #[error("the path has characters that are not allowed: control characters, `\\`, or no UTF-8")]
    Characters,
    /// Too long or too deep.
    #[error(
        "the path is longer than {MAX_BYTES} bytes, a name longer than {MAX_NAME_BYTES}, or it is deeper than {MAX_DEPTH} folders"
    )]
    Long,
}

impl ContentPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidContentPath> {
        let parts: Vec<&str> = text.split('/').collect();
        let wrong = [
            (text.is_empty(), InvalidContentPath::Empty),
            (text.starts_with('/'), InvalidContentPath::Absolute),
            (text.contains(|c: char| c.is_control() || c == '\\'), InvalidContentPath::Characters),
            (parts.contains(&".."), InvalidContentPath::Parent),
            (
                parts.iter().any(|part| part.is_empty() || *part == "."),
                InvalidContentPath::NotNormal,
            ),
            (
                text.len() > MAX_BYTES
                    || parts.len() > MAX_DEPTH
                    || parts.iter().any(|part| part.len() > MAX_NAME_BYTES),
                InvalidContentPath::Long,
            ),
        ];
        match wrong.into_iter().find(|(is_so, _)| *is_so) {
            Some((_, error)) => Err(error),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many folders lie above it.
    pub(super) fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// Every folder that it lies in, the nearest first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(parent(&self.0), |path| parent(path))
    }
}

impl fmt::Display for ContentPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_is_relative_and_normal() {
        use InvalidContentPath as Wrong;
        assert_eq!(ContentPath::parse("venv/bin/tap").unwrap().depth(), 2);
        for (text, wrong) in [
            ("", Wrong::Empty),
            ("/etc/passwd", Wrong::Absolute),
            ("a/../b", Wrong::Parent),
            ("..", Wrong::Parent),
            ("a//b", Wrong::NotNormal),
            ("a/", Wrong::NotNormal),
            ("./a", Wrong::NotNormal),
            ("a\nb", Wrong::Characters),
            ("a\\b", Wrong::Characters),
        ] {
            assert_eq!(ContentPath::parse(text), Err(wrong), "{text}");
        }
        assert_eq!(ContentPath::parse(&"a/".repeat(70)), Err(Wrong::NotNormal));
        assert_eq!(ContentPath::parse(&vec!["a"; 70].join("/")), Err(Wrong::Long));
        assert_eq!(ContentPath::parse(&"a".repeat(256)), Err(Wrong::Long));
    }
}
