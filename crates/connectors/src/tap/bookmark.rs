//! The bookmark of one stream of files: how far each file was read, and up to which value.
//!
//! ```json
//! {
//!   "files": { "data/orders.csv": { "offset": 1048, "line": 12, "size": 1048, "inode": 77,
//!              "modified_ns": 1700000000000000000, "sha256": "…", "finished": true } },
//!   "types": { "id": "integer" },
//!   "replication_key": "updated_at", "replication_key_value": "2024-05-01", "maximum": "2024-05-09"
//! }
//! ```
//!
//! `sha256` covers the first `offset` bytes, so that a file that was appended to is told from one
//! that was replaced. `types` keeps inferred types from becoming narrower between runs. `maximum`
//! is the greatest value seen in a pass that has not ended; it becomes `replication_key_value` when
//! the pass ends, so that rows of equal value are never split by a bookmark.

use flexcore_singer::{Json, Object};

use crate::tap::blocks::Stamp;

/// The bookmark of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamBookmark {
    pub(crate) files: Vec<(String, FileMark)>,
    pub(crate) types: Object,
    pub(crate) replication_key: Option<String>,
    pub(crate) value: Option<Json>,
    pub(crate) maximum: Option<Json>,
}

/// How far one file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileMark {
    /// Bytes consumed.
    pub(crate) offset: u64,
    /// Number of the line that begins there, from 1.
    pub(crate) line: u64,
    /// The file when it was opened.
    pub(crate) stamp: Stamp,
    /// SHA-256 of the bytes consumed, in hex.
    pub(crate) sha256: String,
    /// Whether the file was read to its end.
    pub(crate) finished: bool,
    /// Whether the pass reads rows that were appended, and so takes equal values too.
    pub(crate) inclusive: bool,
}

impl StreamBookmark {
    /// Reads the bookmark; the error says what is wrong with it.
    pub(crate) fn parse(bookmark: &Json) -> Result<Self, String> {
        let Json::Object(bookmark) = bookmark else {
            return Err("it is not an object".to_owned());
        };
        let mut files = Vec::new();
        for (name, mark) in objects(bookmark, "files")? {
            files.push((
                name.to_owned(),
                FileMark::parse(mark).map_err(|key| {
                    format!("'{key}' of file '{name}' is missing or of the wrong kind")
                })?,
            ));
        }
        let value = |key| bookmark.get(key).filter(|value| **value != Json::Null).cloned();
        Ok(Self {
            files,
            types: objects(bookmark, "types")?.map(|(k, v)| (k, v.clone())).collect(),
            replication_key: bookmark
                .get("replication_key")
                .and_then(Json::as_str)
                .map(str::to_owned),
            value: value("replication_key_value"),
            maximum: value("maximum"),
        })
    }

    pub(crate) fn to_json(&self) -> Json {
        let files: Object =
            self.files.iter().map(|(name, mark)| (name.as_str(), mark.to_json())).collect();
        let mut bookmark = Object::new();
        bookmark.insert("files", files.into());
        if !self.types.is_empty() {
            bookmark.insert("types", self.types.clone().into());
        }
        if let Some(key) = &self.replication_key {
            bookmark.insert("replication_key", key.as_str().into());
        }
        if let Some(value) = &self.value {
            bookmark.insert("replication_key_value", value.clone());
        }
        if let Some(maximum) = &self.maximum {
            bookmark.insert("maximum", maximum.clone());
        }
        bookmark.into()
    }

    pub(crate) fn file(&self, name: &str) -> Option<&FileMark> {
        self.files.iter().find(|(known, _)| known == name).map(|(_, mark)| mark)
    }

    pub(crate) fn set_file(&mut self, name: &str, mark: FileMark) {
        match self.files.iter_mut().find(|(known, _)| known == name) {
            Some((_, place)) => *place = mark,
            None => self.files.push((name.to_owned(), mark)),
        }
    }
}

/// The members of an optional object inside of the bookmark.
fn objects<'a>(
    bookmark: &'a Object,
    key: &str,
) -> Result<impl Iterator<Item = (&'a str, &'a Json)>, String> {
    let object = match bookmark.get(key) {
        None | Some(Json::Null) => None,
        Some(Json::Object(object)) => Some(object),
        Some(_) => return Err(format!("'{key}' is not an object")),
    };
    Ok(object.into_iter().flat_map(Object::iter))
}

impl FileMark {
    /// Whether a file of this stamp was read to its end and has not changed since.
    pub(crate) fn is_of(&self, stamp: Stamp) -> bool {
        self.finished && self.stamp == stamp && self.offset == stamp.size
    }

    fn parse(mark: &Json) -> Result<Self, &'static str> {
        let number = |key: &'static str| match mark.get(key) {
            Some(Json::Number(text)) => text.parse::<i64>().map_err(|_| key),
            _ => Err(key),
        };
        let unsigned = |key| number(key).and_then(|value| u64::try_from(value).map_err(|_| key));
        let flag = |key| mark.get(key) == Some(&Json::Bool(true));
        Ok(Self {
            offset: unsigned("offset")?,
            line: unsigned("line")?,
            stamp: Stamp {
                size: unsigned("size")?,
                inode: unsigned("inode")?,
                modified_ns: number("modified_ns")?,
            },
            sha256: mark.get("sha256").and_then(Json::as_str).ok_or("sha256")?.to_owned(),
            finished: flag("finished"),
            inclusive: flag("inclusive"),
        })
    }

    fn to_json(&self) -> Json {
        let mut mark: Object = [
            ("offset", self.offset.into()),
            ("line", self.line.into()),
            ("size", self.stamp.size.into()),
            ("inode", self.stamp.inode.into()),
            ("modified_ns", Json::Number(self.stamp.modified_ns.to_string())),
            ("sha256", self.sha256.as_str().into()),
            ("finished", self.finished.into()),
        ]
        .into_iter()
        .collect();
        if self.inclusive {
            mark.insert("inclusive", true.into());
        }
        mark.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_round_trip() {
        let mut bookmark = StreamBookmark {
            replication_key: Some("id".into()),
            value: Some(Json::Number("5".into())),
            maximum: Some(Json::Number("9".into())),
            ..StreamBookmark::default()
        };
        bookmark.types.insert("id", "integer".into());
        bookmark.set_file("a.csv", FileMark { offset: 7, finished: true, ..FileMark::default() });
        bookmark.set_file("a.csv", FileMark { offset: 9, inclusive: true, ..FileMark::default() });
        assert_eq!(StreamBookmark::parse(&bookmark.to_json()), Ok(bookmark.clone()));
        assert_eq!(bookmark.file("a.csv").unwrap().offset, 9);
    }

    #[test]
    fn broken_bookmarks_say_what_is_wrong() {
        let problem = |text: &str| StreamBookmark::parse(&Json::parse(text).unwrap()).unwrap_err();
        assert_eq!(problem("7"), "it is not an object");
        assert_eq!(problem(r#"{"files":7}"#), "'files' is not an object");
        assert_eq!(
            problem(r#"{"files":{"a":{"offset":-1}}}"#),
            "'offset' of file 'a' is missing or of the wrong kind"
        );
        assert_eq!(
            StreamBookmark::parse(&Json::parse("{}").unwrap()),
            Ok(StreamBookmark::default())
        );
    }
}
