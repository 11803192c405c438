//! The list of files that may be longer, each with its reason.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A file's own limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
    /// Lines without tests.
    pub(super) limit: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    exception: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: PathBuf,
    limit: usize,
    reason: String,
}

/// Reads the list; every entry must give a reason.
pub(super) fn parse(text: &str) -> anyhow::Result<BTreeMap<PathBuf, Exception>> {
    let list: List = toml::from_str(text).context("cannot read the exceptions")?;
    let mut exceptions = BTreeMap::new();
    for Entry { file, limit, reason } in list.exception {
        let name = file.display().to_string();
        ensure!(!reason.trim().is_empty(), "{name} has no reason");
        ensure!(exceptions.insert(file, Exception { limit }).is_none(), "{name} is listed twice");
    }
    Ok(exceptions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_a_list() {
        assert_eq!(parse("# nothing\n").unwrap(), BTreeMap::new());
    }

    #[test]
    fn an_exception_has_a_file_a_limit_and_a_reason() {
        let text = "[[exception]]\nfile = \"a.rs\"\nlimit = 600\nreason = \"one table\"\n";
        let expected = BTreeMap::from([(PathBuf::from("a.rs"), Exception { limit: 600 })]);
        assert_eq!(parse(text).unwrap(), expected);
        let without = text.replace("one table", " ");
        assert_eq!(parse(&without).unwrap_err().to_string(), "a.rs has no reason");
        let twice = format!("{text}{text}");
        assert_eq!(parse(&twice).unwrap_err().to_string(), "a.rs is listed twice");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = parse("[[exception]]\nfile = \"a.rs\"\nlines = 600\n").unwrap_err();
        assert!(format!("{error:#}").contains("lines"), "{error:#}");
    }
}
