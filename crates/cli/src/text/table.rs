//! Tables: columns side by side, two blanks between them, no lines.

use unicode_width::UnicodeWidthStr as _;

use super::Style;

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Control characters of its cells are shown, not obeyed.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) {
        self.rows.push(cells.into_iter().map(|cell| printable(cell.as_ref())).collect());
    }

    /// The text; columns that are empty in every row are left out. Cells of the column named
    /// `status` have the colour of their word.
    pub(crate) fn text(&self, style: Style) -> String {
        let used: Vec<usize> = (0..self.columns.len())
            .filter(|at| self.rows.iter().any(|row| row.get(*at).is_some_and(|c| !c.is_empty())))
            .collect();
        let widths: Vec<usize> = used.iter().map(|at| self.width(*at)).collect();
        let heading = |at: usize, text: &str| (at, text.to_owned());
        let mut lines = vec![self.line(
            used.iter().map(|at| heading(*at, self.columns[*at].0)),
            &widths,
            |_, cell| style.dim(cell),
        )];
        for row in &self.rows {
            let cells = used.iter().map(|at| (*at, row.get(*at).cloned().unwrap_or_default()));
            lines.push(self.line(cells, &widths, |name, cell| match name {
                "status" => style.status(cell),
                _ => cell.to_owned(),
            }));
        }
        lines.join("\n") + "\n"
    }

    fn width(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.width()).max().unwrap_or(0).max(self.columns[at].0.width())
    }

    fn line(
        &self,
        cells: impl ExactSizeIterator<Item = (usize, String)>,
        widths: &[usize],
        paint: impl Fn(&str, &str) -> String,
    ) -> String {
        let last = cells.len().saturating_sub(1);
        let mut line = String::new();
        for (index, ((at, cell), width)) in cells.zip(widths).enumerate() {
            let (name, align) = self.columns[at];
            let missing = " ".repeat(width.saturating_sub(cell.width()));
            let padded = match align {
                Align::Right => format!("{missing}{cell}"),
                Align::Left if index == last => cell,
                Align::Left => format!("{cell}{missing}"),
            };
            line.push_str(&paint(name, &padded));
            if index < last {
                line.push_str("  ");
            }
        }
        line.trim_end().to_owned()
    }
}

/// The text in one line with its control characters replaced, so that what a program wrote cannot
/// move the cursor or rename the window.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The text in one printable line of at most `width` characters.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let line = printable(text);
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_disappear() {
        let mut table = Table::new([
            ("step", Align::Left),
            ("empty", Align::Left),
            ("records", Align::Right),
            ("error", Align::Left),
        ]);
        table.row(["load", "", "1,000", ""]);
        table.row(["größer", "", "7", "it\nbroke\u{7}"]);
        assert_eq!(
            table.text(Style::PLAIN),
            "step    records  error\nload      1,000\ngrößer        7  it broke\u{fffd}\n"
        );
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abc\ndefg", 6), "abc d…");
    }

    #[test]
    fn wide_characters_take_two_places() {
        let mut table = Table::new([("a", Align::Left), ("b", Align::Left)]);
        table.row(["数", "x"]);
        table.row(["abc", "y"]);
        assert_eq!(table.text(Style::PLAIN), "a    b\n数   x\nabc  y\n");
    }
}
