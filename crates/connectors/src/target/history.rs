//! Marks of one execution, in order, and what they say about going back.
//!
//! A length is the number of bytes of a file, or the greatest row id of a table.

use flexcore_singer::{Json, Object};

/// Lengths by name of the file or table.
pub(crate) type Lengths = Vec<(String, u64)>;

/// The marks of one execution and step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Lengths before this execution.
    pub(crate) opened: Lengths,
    /// Lengths at each STATE, by the hash of the STATE.
    pub(crate) states: Vec<(String, Lengths)>,
}

impl History {
    /// Reads marks, one JSON object per line; the error is the number of a line that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, usize> {
        let mut history = Self::default();
        let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
        for (index, line) in complete.lines().enumerate() {
            history.take(line).ok_or(index + 1)?;
        }
        Ok(history)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let mark = Json::parse(line).ok()?;
        match mark.get("mark")?.as_str()? {
            "start" => {}
            "open" => {
                let file = mark.get("file")?.as_str()?.to_owned();
                let length = number(mark.get("length")?)?;
                if !self.opened.iter().any(|(known, _)| *known == file) {
                    self.opened.push((file, length));
                }
            }
            "state" => {
                let hash = mark.get("sha256")?.as_str()?.to_owned();
                let lengths = mark
                    .get("lengths")?
                    .as_object()?
                    .iter()
                    .map(|(file, length)| Some((file.to_owned(), number(length)?)))
                    .collect::<Option<_>>()?;
                self.states.push((hash, lengths));
            }
            _ => return None,
        }
        Some(())
    }

    /// The history up to a committed STATE and the lengths there; up to the start without one.
    /// What was opened stays, as it tells the lengths at the start.
    ///
    /// A tap may send one STATE several times in a row, with records in between that it would send
    /// again. So the first of the last such row counts.
    pub(crate) fn at(&self, committed: Option<&str>) -> Option<(Self, Lengths)> {
        let Some(committed) = committed else {
            let kept = Self { opened: self.opened.clone(), states: Vec::new() };
            return Some((kept, self.opened.clone()));
        };
        let mut index = self.states.iter().rposition(|(hash, _)| hash == committed)?;
        while index > 0 && self.states[index - 1].0 == committed {
            index -= 1;
        }
        let mut lengths = self.states[index].1.clone();
        let kept = Self { opened: self.opened.clone(), states: self.states[..=index].to_vec() };
        for (file, length) in &self.opened {
            if !lengths.iter().any(|(known, _)| known == file) {
                lengths.push((file.clone(), *length));
            }
        }
        Some((kept, lengths))
    }

    /// The greatest length that this execution ever saw a file at.
    pub(crate) fn greatest(&self, file: &str) -> Option<u64> {
        let of = |lengths: &Lengths| lengths.iter().find(|(f, _)| f == file).map(|(_, l)| *l);
        self.states.iter().filter_map(|(_, lengths)| of(lengths)).chain(of(&self.opened)).max()
    }
}

fn number(json: &Json) -> Option<u64> {
    if let Json::Number(text) = json { text.parse().ok() } else { None }
}

/// The line of a mark that something is going to be written.
pub(crate) fn open_line(file: &str, length: u64) -> String {
    let mark: Object = [("mark", "open".into()), ("file", file.into()), ("length", length.into())]
        .into_iter()
        .collect();
    format!("{}\n", Json::from(mark))
}

/// The line of a mark of a STATE.
pub(crate) fn state_line(sha256: &str, lengths: &Lengths) -> String {
    let lengths: Object =
        lengths.iter().map(|(file, length)| (file.as_str(), Json::from(*length))).collect();
    let mark: Object =
        [("mark", "state".into()), ("sha256", sha256.into()), ("lengths", lengths.into())]
            .into_iter()
            .collect();
    format!("{}\n", Json::from(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(pairs: &[(&str, u64)]) -> Lengths {
        pairs.iter().map(|(file, length)| ((*file).to_owned(), *length)).collect()
    }

    #[test]
    fn the_first_of_equal_states_counts() {
        let history = History {
            opened: Vec::new(),
            states: ["x", "y", "x", "x", "x", "z"]
                .iter()
                .zip(1..)
                .map(|(hash, length)| ((*hash).to_owned(), lengths(&[("a", length)])))
                .collect(),
        };
        assert_eq!(history.at(Some("x")).unwrap().1, lengths(&[("a", 3)]));
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_any_other_broken_line_is_an_error() {
        let text = "{\"mark\":\"start\"}\n{\"mark\":\"open\",\"file\":\"a\",\"length\":1}\n{\"mark\":\"sta";
        assert_eq!(History::parse(text).unwrap().opened, lengths(&[("a", 1)]));
        assert_eq!(History::parse("{\"mark\":\"start\"}\noops\n"), Err(2));
    }
}
