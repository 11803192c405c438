//! Text put together piece by piece.

/// A text that grows.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Adds a piece as it is.
    pub(super) fn push(&mut self, piece: impl AsRef<str>) {
        self.0.push_str(piece.as_ref());
    }

    /// Adds a line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.push(line);
        self.push("\n");
    }

    /// Adds a fact: its name in a column, then its value.
    pub(super) fn fact(&mut self, style: super::Style, name: &str, value: impl AsRef<str>) {
        self.line(format!("  {}  {}", style.dim(format!("{name:<11}")), value.as_ref()));
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
