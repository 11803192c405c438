//! Texts with their names, and places in them.

use serde::Serialize;

/// A file's text and the name under which messages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As messages show it, normally relative to the project root.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A text with its name.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The text of a line, counted from 1, without its end.
    pub(crate) fn line(&self, line: u32) -> Option<&str> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        self.text.lines().nth(index)
    }

    /// The first place at or after `from` where `part` stands; `from` itself if it stands nowhere,
    /// as with text that was escaped or folded.
    pub(crate) fn locate(&self, from: Position, part: &str) -> Position {
        let first_line = part.lines().next().unwrap_or_default();
        if first_line.is_empty() {
            return from;
        }
        let length = u32::try_from(first_line.chars().count()).unwrap_or(u32::MAX);
        let skipped = usize::try_from(from.line.saturating_sub(1)).unwrap_or(usize::MAX);
        for (index, line) in self.text.lines().enumerate().skip(skipped) {
            let start = if index == skipped { byte_of_column(line, from.column) } else { 0 };
            if let Some(found) = line.get(start..).and_then(|rest| rest.find(first_line)) {
                let before = line.get(..start + found).map_or(0, |text| text.chars().count());
                return Position {
                    line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                    column: u32::try_from(before + 1).unwrap_or(u32::MAX),
                    length,
                };
            }
        }
        from
    }
}

/// A place in a text: lines and columns count characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// How many characters of that line are meant, at least 1.
    pub length: u32,
}

impl Position {
    /// The first character of a text: where something is missing as a whole.
    pub const START: Self = Self { line: 1, column: 1, length: 1 };
}

fn byte_of_column(line: &str, column: u32) -> usize {
    let characters = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    line.char_indices().nth(characters).map_or(line.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_at_or_after_a_place() {
        let source = SourceFile::new("a", "x: é {{ a }}\n  y: {{ a }}\n");
        let from = |line, column| Position { line, column, length: 1 };
        assert_eq!(
            source.locate(from(1, 4), "{{ a }}"),
            Position { line: 1, column: 6, length: 7 }
        );
        assert_eq!(
            source.locate(from(1, 7), "{{ a }}"),
            Position { line: 2, column: 6, length: 7 }
        );
        assert_eq!(source.locate(from(2, 1), "nowhere"), from(2, 1));
        assert_eq!(source.locate(from(9, 9), "x"), from(9, 9));
    }
}
