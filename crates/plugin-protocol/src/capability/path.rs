//! Paths that may be granted: normalised, without `..`, and never the whole machine.

use std::fmt;

/// Longest path that Linux takes.
const MAX_BYTES: usize = 4096;
/// The word for the private folder of a plugin.
const SCRATCH: &str = "scratch";

/// A file or folder; a folder means everything below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapabilityPath {
    /// A folder that only this plugin sees and that ends with it; written `scratch`.
    Scratch,
    /// Relative to the project, without `./` in front; empty for the project itself.
    Project(String),
    /// A path of the machine, from `/` and never `/` itself.
    Machine(String),
}

/// Why a path cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Nothing.
    #[error("a path is not empty")]
    Empty,
    /// `..` somewhere.
    #[error("a path has no `..`")]
    Parent,
    /// `~` in front.
    #[error("a path does not begin with `~`; whose home that is depends on who runs FlexCore")]
    Home,
    /// `/`.
    #[error("a path names a file or folder, not the whole machine")]
    Root,
    /// Below `/proc`, `/sys` or `/dev`.
    #[error("`/proc`, `/sys` and `/dev` are the kernel's and cannot be opened to a plugin")]
    Kernel,
    /// `*` or `?`.
    #[error("a path has no wildcards; a folder already means everything below it")]
    Wildcard,
    /// Control characters.
    #[error("a path has no control characters")]
    Control,
    /// Beyond what the kernel takes.
    #[error("a path has at most {MAX_BYTES} bytes")]
    Long,
}

impl CapabilityPath {
    /// Reads `scratch`, a path of the machine or a path relative to the project, and normalises it.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        if text == SCRATCH {
            return Ok(Self::Scratch);
        }
        let parts = normal_parts(text)?;
        if !text.starts_with('/') {
            return Ok(Self::Project(parts.join("/")));
        }
        match parts.first() {
            None => Err(InvalidPath::Root),
            Some(&("proc" | "sys" | "dev")) => Err(InvalidPath::Kernel),
            Some(_) => Ok(Self::Machine(format!("/{}", parts.join("/")))),
        }
    }

    /// A path of the machine for a path relative to the project.
    pub(super) fn in_project(self, root: &str) -> Result<Self, InvalidPath> {
        match self {
            Self::Project(path) => Self::parse(&format!("{root}/{path}")),
            other => Ok(other),
        }
    }

    /// The one of the two that lies below the other, if one does.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        if self.holds(other) {
            Some(other.clone())
        } else {
            other.holds(self).then(|| self.clone())
        }
    }

    fn holds(&self, other: &Self) -> bool {
        let (folder, path) = match (self, other) {
            (Self::Scratch, Self::Scratch) => return true,
            (Self::Project(folder), Self::Project(path)) if folder.is_empty() => {
                return !path.starts_with('/');
            }
            (Self::Project(folder), Self::Project(path))
            | (Self::Machine(folder), Self::Machine(path)) => (folder, path),
            _ => return false,
        };
        path.strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for CapabilityPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => formatter.write_str(SCRATCH),
            Self::Project(path) if path.is_empty() => formatter.write_str("."),
            // A folder of the project that has the name of the private one, or looks like a home.
            Self::Project(path) if path == SCRATCH || path.starts_with('~') => {
                write!(formatter, "./{path}")
            }
            Self::Project(path) | Self::Machine(path) => formatter.write_str(path),
        }
    }
}

/// The parts of a path without `.` and doubled `/`.
fn normal_parts(text: &str) -> Result<Vec<&str>, InvalidPath> {
    let parts: Vec<&str> =
        text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let wrong = [
        (text.is_empty(), InvalidPath::Empty),
        (text.len() > MAX_BYTES, InvalidPath::Long),
        (text.contains(char::is_control), InvalidPath::Control),
        (text.starts_with('~'), InvalidPath::Home),
        (parts.contains(&".."), InvalidPath::Parent),
        (text.contains(['*', '?']), InvalidPath::Wildcard),
    ];
    match wrong.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, error)) => Err(error),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_normalised() {
        for (text, shown) in [
            ("/data//in/./", "/data/in"),
            ("./in/", "in"),
            (".", "."),
            ("scratch", "scratch"),
            ("./scratch", "./scratch"),
            ("./~x", "./~x"),
        ] {
            assert_eq!(CapabilityPath::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_ne!(CapabilityPath::parse("./scratch"), CapabilityPath::parse("scratch"));
    }

    #[test]
    fn each_mistake_has_its_name() {
        for (text, wrong) in [
            ("", InvalidPath::Empty),
            ("/", InvalidPath::Root),
            ("//./", InvalidPath::Root),
            ("/data/../etc", InvalidPath::Parent),
            ("..", InvalidPath::Parent),
            ("~/in", InvalidPath::Home),
            ("/proc/1/environ", InvalidPath::Kernel),
            ("//./dev/mem", InvalidPath::Kernel),
            ("/data/*", InvalidPath::Wildcard),
            ("/data\n", InvalidPath::Control),
        ] {
            assert_eq!(CapabilityPath::parse(text), Err(wrong), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_shown_and_read_again(text in "[./a~ scrth]{0,12}|\\PC{0,20}") {
            if let Ok(path) = CapabilityPath::parse(&text) {
                prop_assert_eq!(CapabilityPath::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
