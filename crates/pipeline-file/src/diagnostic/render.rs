//! A diagnostic as text: the layout that rustc made familiar.

use std::fmt;

use super::{Diagnostic, Severity};
use crate::source::Position;

/// Lines longer than this are cut around the place that is meant.
const MAX_LINE: usize = 160;
/// How much of a cut line is shown before that place.
const LEAD: usize = 40;

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(formatter, "{word}[{}]: {}", self.code, self.message)?;
        let margin = self.margin();
        match self.position {
            Some(at) => write!(formatter, "\n{margin}--> {}:{}:{}", self.file, at.line, at.column)?,
            None => write!(formatter, "\n{margin}--> {}", self.file)?,
        }
        if let (Some(at), Some(line)) = (self.position, &self.source_line) {
            write_line(formatter, &margin, at, line)?;
        }
        if let Some(hint) = &self.hint {
            let mut lines = hint.lines();
            write!(formatter, "\n{margin} = help: {}", lines.next().unwrap_or_default())?;
            for line in lines {
                write!(formatter, "\n{margin}         {line}")?;
            }
        }
        Ok(())
    }
}

impl Diagnostic {
    /// As wide as the line number.
    fn margin(&self) -> String {
        " ".repeat(self.position.map_or(1, |at| at.line.to_string().len()))
    }
}

fn write_line(
    formatter: &mut fmt::Formatter<'_>,
    margin: &str,
    at: Position,
    line: &str,
) -> fmt::Result {
    let (shown, column) = cut(line, at.column as usize);
    // A tab in front of the caret stays a tab, so that the two lines align in every terminal.
    let lead: String =
        shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let rest = shown.chars().count().saturating_sub(column - 1).max(1);
    let carets = "^".repeat((at.length as usize).clamp(1, rest));
    write!(formatter, "\n{margin} |\n{} | {shown}\n{margin} | {lead}{carets}", at.line)
}

/// The line, and the column within what is shown of it.
fn cut(line: &str, column: usize) -> (String, usize) {
    let clean = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let length = line.chars().count();
    let column = column.clamp(1, length + 1);
    if length <= MAX_LINE {
        return (line.chars().map(clean).collect(), column);
    }
    let skip = column.saturating_sub(LEAD + 1);
    let part: String = line.chars().skip(skip).take(MAX_LINE).map(clean).collect();
    if skip == 0 {
        return (format!("{part}…"), column);
    }
    let tail = if skip + MAX_LINE < length { "…" } else { "" };
    (format!("…{part}{tail}"), column - skip + 1)
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;
    use crate::source::SourceFile;

    fn shown(text: &str, line: u32, column: u32, length: u32) -> String {
        let source = SourceFile::new("a.yaml", text);
        let position = Position { line, column, length };
        Diagnostic::at(Code::UnknownKey, &source, position, "wrong").hint("right").to_string()
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        assert_eq!(
            shown("a: 1\nbäd: 2\n", 2, 6, 1),
            "error[FC0103]: wrong\n --> a.yaml:2:6\n  |\n2 | bäd: 2\n  |      ^\n  = help: right"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}bad{}", "x".repeat(500), "y".repeat(500));
        let shown = shown(&text, 1, 501, 3);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[3].chars().count() < 180, "{shown}");
        let caret = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[3].chars().skip(caret).take(3).collect::<String>(), "bad");
    }

    #[test]
    fn places_beyond_the_text_do_not_panic() {
        for (line, column, length) in [(9, 9, 9), (1, 99, 99), (1, 1, u32::MAX)] {
            assert!(shown("short", line, column, length).contains("wrong"));
        }
    }
}
