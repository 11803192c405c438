//! What a STATE value means to the runner: bookmarks per stream, merged, compared and reset.
//!
//! Singer calls the value opaque. By convention it is
//! `{"bookmarks": {"<stream>": {…}}, "currently_syncing": …}`, and taps that run only some of their
//! streams send only those: replacing the stored value would lose the others. So bookmarks are
//! merged stream by stream; nothing is ever dropped but on purpose.

use std::{cmp::Ordering, fmt};

use crate::{
    compare::compare_values,
    json::{Json, Object},
    scan::JsonError,
};

const BOOKMARKS: &str = "bookmarks";
/// Names the stream that a tap was in. It speaks of one moment only and is never merged.
const CURRENTLY_SYNCING: &str = "currently_syncing";

/// Members of a bookmark that describe a run rather than a position, and may go back.
const NOT_POSITIONS: [&str; 3] =
    ["starting_replication_value", "replication_key_signpost", "progress_markers"];

/// A STATE value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    members: Object,
}

/// Why a text is not a STATE value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a STATE value must be a JSON object")]
pub struct StateError(#[from] JsonError);

/// How the bookmark of one stream differs between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDifference {
    /// The stream; `None` for a top-level member that belongs to no stream.
    pub stream: Option<String>,
    /// Path inside of the bookmark, its parts joined by dots; empty for the whole.
    pub path: String,
    /// What happened.
    pub change: Change,
}

/// One change between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the newer state has it.
    Added(Json),
    /// Only the older state has it.
    Removed(Json),
    /// Both have it, with other values.
    Replaced {
        /// In the older state.
        from: Json,
        /// In the newer state.
        to: Json,
    },
}

impl fmt::Display for StateDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (&self.stream, self.path.as_str()) {
            (Some(stream), "") => stream.clone(),
            (Some(stream), path) => format!("{stream}: {path}"),
            (None, path) => path.to_owned(),
        };
        match &self.change {
            Change::Added(value) => write!(formatter, "+ {place} = {value}"),
            Change::Removed(value) => write!(formatter, "- {place} = {value}"),
            Change::Replaced { from, to } => write!(formatter, "~ {place}: {from} -> {to}"),
        }
    }
}

/// A bookmark that went back where an order is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regression {
    /// The stream.
    pub stream: String,
    /// Path inside of the bookmark, its parts joined by dots.
    pub path: String,
    /// The value it had.
    pub from: Json,
    /// The smaller value that it would get.
    pub to: Json,
}

impl State {
    /// Reads the raw text of a STATE value.
    pub fn parse(text: &str) -> Result<Self, StateError> {
        Ok(Self { members: Json::parse_object(text)? })
    }

    /// Whether it holds no position at all: `{}`, or no bookmark that says anything. Such a STATE
    /// must not wipe the stored one.
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(|(key, value)| match value {
            Json::Object(object) if key == BOOKMARKS => {
                object.iter().all(|(_, bookmark)| is_blank(bookmark))
            }
            value => key == CURRENTLY_SYNCING || is_blank(value),
        })
    }

    /// Streams that have a bookmark, in order.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.bookmarks().into_iter().flat_map(Object::keys)
    }

    /// The bookmark of one stream.
    pub fn stream(&self, stream: &str) -> Option<&Json> {
        self.bookmarks()?.get(stream)
    }

    /// Sets the bookmark of one stream.
    pub fn set_stream(&mut self, stream: &str, bookmark: Json) {
        self.members.object_entry(BOOKMARKS).insert(stream, bookmark);
    }

    /// Only the bookmark of one stream, as a state of its own; empty if it has none.
    pub fn only_stream(&self, stream: &str) -> Self {
        let mut only = Self::default();
        if let Some(bookmark) = self.stream(stream) {
            only.set_stream(stream, bookmark.clone());
        }
        only
    }

    /// Forgets the bookmark of one stream; false if there was none.
    pub fn reset_stream(&mut self, stream: &str) -> bool {
        let bookmarks = self.members.get_mut(BOOKMARKS).and_then(Json::as_object_mut);
        let removed = bookmarks.is_some_and(|bookmarks| bookmarks.remove(stream).is_some());
        if self.members.get(CURRENTLY_SYNCING).and_then(Json::as_str) == Some(stream) {
            self.members.remove(CURRENTLY_SYNCING);
        }
        removed
    }

    /// Takes over a newer STATE: the bookmark of each of its streams replaces the one of that
    /// stream, its other members replace theirs, and what it does not name stays. Only
    /// `currently_syncing` goes when the newer STATE does not repeat it.
    pub fn merge(&mut self, newer: &Self) {
        self.members.remove(CURRENTLY_SYNCING);
        for (key, value) in newer.members.iter() {
            match value {
                Json::Object(bookmarks) if key == BOOKMARKS => {
                    let mine = self.members.object_entry(BOOKMARKS);
                    for (stream, bookmark) in bookmarks.iter() {
                        mine.insert(stream, bookmark.clone());
                    }
                }
                value => self.members.insert(key, value.clone()),
            }
        }
    }

    /// What changed from this state to a newer one, stream by stream, down to single values.
    pub fn differences(&self, newer: &Self) -> Vec<StateDifference> {
        let mut differences = Vec::new();
        for (key, old, new) in pairs(&self.members, &newer.members) {
            match (key, old, new) {
                (BOOKMARKS, Some(Json::Object(old)), Some(Json::Object(new))) => {
                    for (stream, old, new) in pairs(old, new) {
                        compare(Some(stream), "", (old, new), &mut differences);
                    }
                }
                (BOOKMARKS, None, Some(Json::Object(new))) => {
                    for (stream, bookmark) in new.iter() {
                        compare(Some(stream), "", (None, Some(bookmark)), &mut differences);
                    }
                }
                (BOOKMARKS, Some(Json::Object(old)), None) => {
                    for (stream, bookmark) in old.iter() {
                        compare(Some(stream), "", (Some(bookmark), None), &mut differences);
                    }
                }
                (key, old, new) => compare(None, key, (old, new), &mut differences),
            }
        }
        differences
    }

    /// Bookmarks that a newer STATE would move back. Only values with a certain order are judged
    /// ([`compare_values`]); the others may do as they like.
    pub fn regressions(&self, newer: &Self) -> Vec<Regression> {
        self.differences(newer)
            .into_iter()
            .filter_map(|difference| {
                let stream = difference.stream?;
                let Change::Replaced { from, to } = difference.change else { return None };
                let is_position =
                    !difference.path.split('.').any(|part| NOT_POSITIONS.contains(&part));
                (is_position && compare_values(&to, &from) == Some(Ordering::Less))
                    .then_some(Regression { stream, path: difference.path, from, to })
            })
            .collect()
    }

    fn bookmarks(&self) -> Option<&Object> {
        self.members.get(BOOKMARKS)?.as_object()
    }
}

/// The compact text, as a tap's `--state` file wants it.
impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Json::Object(self.members.clone()).fmt(formatter)
    }
}

fn is_blank(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Object(object) => object.is_empty(),
        Json::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

/// Members of both objects side by side: those of the older in their order, then the new ones.
fn pairs<'a>(
    old: &'a Object,
    new: &'a Object,
) -> impl Iterator<Item = (&'a str, Option<&'a Json>, Option<&'a Json>)> {
    let mine = old.iter().map(|(key, value)| (key, Some(value), new.get(key)));
    let theirs = new.iter().filter(|(key, _)| old.get(key).is_none());
    mine.chain(theirs.map(|(key, value)| (key, None, Some(value))))
}

fn compare(
    stream: Option<&str>,
    path: &str,
    sides: (Option<&Json>, Option<&Json>),
    differences: &mut Vec<StateDifference>,
) {
    let change = match sides {
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            for (key, old, new) in pairs(old, new) {
                let deeper = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                compare(stream, &deeper, (old, new), differences);
            }
            return;
        }
        (Some(old), Some(new)) if old == new => return,
        (Some(old), Some(new)) => Change::Replaced { from: old.clone(), to: new.clone() },
        (Some(old), None) => Change::Removed(old.clone()),
        (None, Some(new)) => Change::Added(new.clone()),
        (None, None) => return,
    };
    let stream = stream.map(str::to_owned);
    differences.push(StateDifference { stream, path: path.to_owned(), change });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> State {
        State::parse(text).unwrap()
    }

    #[test]
    fn a_partial_state_keeps_the_other_streams() {
        let mut stored = state(
            r#"{"bookmarks":{"a":{"id":1},"b":{"id":2,"x":1}},"currently_syncing":"a","v":1}"#,
        );
        stored.merge(&state(r#"{"bookmarks":{"b":{"id":3}},"v":2}"#));
        assert_eq!(stored.to_string(), r#"{"bookmarks":{"a":{"id":1},"b":{"id":3}},"v":2}"#);
    }

    #[test]
    fn merging_an_empty_state_changes_nothing_but_the_stream_in_work() {
        let mut stored = state(r#"{"bookmarks":{"a":{"id":1}}}"#);
        let before = stored.clone();
        stored.merge(&state("{}"));
        stored.merge(&state(r#"{"bookmarks":{}}"#));
        assert_eq!(stored, before);
    }

    #[test]
    fn emptiness_is_about_positions() {
        for empty in ["{}", r#"{"bookmarks":{}}"#, r#"{"bookmarks":{"a":{}},"x":null}"#] {
            assert!(state(empty).is_empty(), "{empty}");
        }
        assert!(state(r#"{"currently_syncing":"a"}"#).is_empty());
        assert!(!state(r#"{"bookmarks":{"a":{"id":0}}}"#).is_empty());
        assert!(!state(r#"{"cursor":"x"}"#).is_empty());
    }

    #[test]
    fn one_stream_is_reset_alone() {
        let mut stored =
            state(r#"{"bookmarks":{"a":{"id":1},"b":{"id":2}},"currently_syncing":"b"}"#);
        assert_eq!(stored.only_stream("a").to_string(), r#"{"bookmarks":{"a":{"id":1}}}"#);
        assert!(stored.reset_stream("b"));
        assert!(!stored.reset_stream("b"));
        assert_eq!(stored.to_string(), r#"{"bookmarks":{"a":{"id":1}}}"#);
        assert_eq!(stored.streams().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn differences_go_down_to_single_values() {
        let old = state(r#"{"bookmarks":{"a":{"id":1,"t":{"x":1}},"b":{"id":2}}}"#);
        let new = state(r#"{"bookmarks":{"a":{"id":5,"t":{"x":1}},"c":{"id":2}},"v":1}"#);
        let lines: Vec<_> = old.differences(&new).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [r"~ a: id: 1 -> 5", r#"- b = {"id":2}"#, r#"+ c = {"id":2}"#, "+ v = 1"]
        );
        assert_eq!(old.differences(&old), []);
        assert_eq!(State::default().differences(&old).len(), 2);
        assert_eq!(old.differences(&State::default()).len(), 2);
    }

    #[test]
    fn only_positions_with_a_certain_order_regress() {
        let old = state(
            r#"{"bookmarks":{"a":{"id":9,"at":"2024-05-01","name":"z","starting_replication_value":5}}}"#,
        );
        let new = state(
            r#"{"bookmarks":{"a":{"id":10,"at":"2024-04-01","name":"a","starting_replication_value":1}}}"#,
        );
        let paths: Vec<_> = old.regressions(&new).into_iter().map(|found| found.path).collect();
        assert_eq!(paths, ["at"]);
    }

    #[test]
    fn only_objects_are_states() {
        assert!(State::parse("[]").is_err());
        assert!(State::parse("{").is_err());
    }
}
