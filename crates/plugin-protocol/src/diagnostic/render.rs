//! A diagnostic as text: the layout of the diagnostics of pipeline files.

use std::fmt;

use super::{Diagnostic, Position};

/// Lines longer than this are cut around the place that is meant.
const MAX_LINE: usize = 160;
/// How much of a cut line is shown before that place.
const LEAD: usize = 40;

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.position;
        let margin = " ".repeat(at.line.to_string().len());
        write!(formatter, "error[{}]: {}", self.mistake.code(), self.message)?;
        write!(formatter, "\n{margin}--> {}:{}:{}", self.file, at.line, at.column)?;
        if let Some(line) = &self.source_line {
            write_line(formatter, &margin, at, line)?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n{margin} = help: {hint}")?;
        }
        Ok(())
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
    use super::super::Mistake;
    use super::*;

    fn shown(line: &str, column: u32, length: u32) -> String {
        Diagnostic {
            mistake: Mistake::UnknownKey,
            file: "plugin.toml".to_owned(),
            position: Position { line: 12, column, length },
            message: "wrong".to_owned(),
            hint: Some("right".to_owned()),
            source_line: Some(line.to_owned()),
        }
        .to_string()
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        assert_eq!(
            shown("\tbäd = 2", 8, 1),
            "error[FC0602]: wrong\n  --> plugin.toml:12:8\n   |\n12 | \tbäd = 2\n   | \t      ^\n   = help: right"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let shown = shown(&format!("{}bad{}", "x".repeat(500), "y".repeat(500)), 501, 3);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[3].chars().count() < 180, "{shown}");
        let caret = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[3].chars().skip(caret).take(3).collect::<String>(), "bad");
    }

    #[test]
    fn places_beyond_the_line_do_not_panic() {
        for (column, length) in [(9, 9), (99, u32::MAX), (0, 0)] {
            assert!(shown("short", column, length).contains("wrong"));
        }
    }
}
