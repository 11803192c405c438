//! The floors table of ARCHITECTURE.md, as data.
//!
//! It is an ordinary Markdown table between two comments, with the columns floor, crate,
//! description, dependencies.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail, ensure};

const OPENING: &str = "<!-- check-layers: floors -->";
const CLOSING: &str = "<!-- /check-layers -->";
const COLUMNS: usize = 4;

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Floor {
    /// Part of the product; a crate looks at its own floor and at lower ones only.
    Numbered(u8),
    /// Beside the product: nothing that ships depends on it.
    Beside,
}

impl fmt::Display for Floor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbered(number) => write!(formatter, "floor {number}"),
            Self::Beside => formatter.write_str("beside the floors"),
        }
    }
}

/// One item of the last column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// That crate.
    Crate(String),
    /// Every crate of that floor.
    Floor(Floor),
    /// Every crate of a lower floor; for crates beside the floors, every numbered one.
    EverythingBelow,
}

/// One row: a crate, where it stands, and what it may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) floor: Floor,
    pub(super) allowed: Vec<Allowed>,
    /// The line in the document, counted from 1.
    pub(super) line: usize,
}

/// The whole table, by crate name without the `flexcore-` prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) rows: BTreeMap<String, Row>,
}

impl Table {
    /// Whether the row allows a dependency on the named crate.
    pub(super) fn allows(&self, row: &Row, dependency: &str) -> bool {
        row.allowed.iter().any(|allowed| match allowed {
            Allowed::Crate(name) => name == dependency,
            Allowed::Floor(floor) => self.floor(dependency) == Some(*floor),
            Allowed::EverythingBelow => {
                self.floor(dependency).is_some_and(|floor| floor < row.floor)
            }
        })
    }

    /// Where the named crate stands, if it has a row.
    pub(super) fn floor(&self, name: &str) -> Option<Floor> {
        self.rows.get(name).map(|row| row.floor)
    }
}

/// Reads the table out of the document.
pub(super) fn parse(document: &str) -> anyhow::Result<Table> {
    let mut rows = BTreeMap::new();
    for (line, text) in table_lines(document)? {
        let (name, row) = parse_row(line, text).with_context(|| format!("line {line}"))?;
        ensure!(rows.insert(name.clone(), row).is_none(), "line {line}: `{name}` has two rows");
    }
    ensure!(!rows.is_empty(), "the floors table has no rows");
    Ok(Table { rows })
}

/// The lines of the table below its head, with their numbers.
fn table_lines(document: &str) -> anyhow::Result<Vec<(usize, &str)>> {
    let mut lines = document.lines().enumerate().map(|(index, text)| (index + 1, text.trim()));
    lines
        .by_ref()
        .find(|(_, text)| *text == OPENING)
        .with_context(|| format!("there is no line `{OPENING}` before the floors table"))?;
    let mut inside = Vec::new();
    for (number, text) in lines {
        if text == CLOSING {
            let is_head = |text: &str| text.starts_with("| floor") || text.starts_with("|---");
            inside.retain(|(_, text): &(usize, &str)| !text.is_empty() && !is_head(text));
            return Ok(inside);
        }
        inside.push((number, text));
    }
    bail!("there is no line `{CLOSING}` after the floors table")
}

fn parse_row(line: usize, text: &str) -> anyhow::Result<(String, Row)> {
    let inner = text
        .strip_prefix('|')
        .and_then(|text| text.strip_suffix('|'))
        .context("a row begins and ends with `|`")?;
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    ensure!(cells.len() == COLUMNS, "a row has {COLUMNS} cells, this one has {}", cells.len());
    let name = parse_name(cells[1])?;
    let row = Row { floor: parse_floor(cells[0])?, allowed: parse_allowed(cells[3])?, line };
    Ok((name, row))
}

fn parse_floor(cell: &str) -> anyhow::Result<Floor> {
    if cell == "beside" {
        return Ok(Floor::Beside);
    }
    let number = cell
        .parse()
        .with_context(|| format!("{cell:?} is neither a floor's number nor `beside`"))?;
    Ok(Floor::Numbered(number))
}

fn parse_name(cell: &str) -> anyhow::Result<String> {
    cell.strip_prefix('`')
        .and_then(|cell| cell.strip_suffix('`'))
        .filter(|name| !name.is_empty() && !name.contains('`'))
        .map(str::to_owned)
        .with_context(|| format!("{cell:?} is not one crate's name in backticks"))
}

fn parse_allowed(cell: &str) -> anyhow::Result<Vec<Allowed>> {
    if cell == "—" {
        return Ok(Vec::new());
    }
    cell.split(',').map(|item| parse_item(item.trim())).collect()
}

fn parse_item(item: &str) -> anyhow::Result<Allowed> {
    if item == "everything below" {
        return Ok(Allowed::EverythingBelow);
    }
    match item.strip_prefix("floor ") {
        Some(number) => parse_floor(number).map(Allowed::Floor),
        None => parse_name(item).map(Allowed::Crate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(rows: &str) -> String {
        format!(
            "# Title\n\n{OPENING}\n| floor | crate | what it is | may depend on |\n|---|---|---|---|\n{rows}\n{CLOSING}\n"
        )
    }

    fn message(rows: &str) -> String {
        format!("{:#}", parse(&document(rows)).unwrap_err())
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let table = parse(&document(
            "| 0 | `domain` | decides | — |\n| 2 | `sync` | pump | floor 0, `ports` |\n| beside | `xtask` | checks | everything below |",
        ))
        .unwrap();
        let sync = &table.rows["sync"];
        assert_eq!(sync.floor, Floor::Numbered(2));
        assert_eq!(sync.line, 7);
        let expected = [Allowed::Floor(Floor::Numbered(0)), Allowed::Crate("ports".to_owned())];
        assert_eq!(sync.allowed, expected);
        assert_eq!(table.rows["domain"].allowed, []);
        assert_eq!(table.rows["xtask"].floor, Floor::Beside);
    }

    #[test]
    fn a_floor_allows_its_crates_and_no_others() {
        let table = parse(&document(
            "| 0 | `domain` | a | — |\n| 1 | `ports` | b | floor 0 |\n| 4 | `flexcore` | c | everything below |",
        ))
        .unwrap();
        assert!(table.allows(&table.rows["ports"], "domain"));
        assert!(!table.allows(&table.rows["ports"], "flexcore"));
        assert!(!table.allows(&table.rows["domain"], "ports"));
        assert!(table.allows(&table.rows["flexcore"], "ports"));
        assert!(!table.allows(&table.rows["flexcore"], "unknown"));
    }

    #[test]
    fn what_is_not_a_table_is_refused_with_its_line() {
        assert_eq!(
            message("| 0 | domain | a | — |"),
            "line 6: \"domain\" is not one crate's name in backticks"
        );
        assert_eq!(message("| 0 | `a` | b |"), "line 6: a row has 4 cells, this one has 3");
        assert!(message("| zero | `a` | b | — |").starts_with("line 6: \"zero\" is neither"));
        assert_eq!(message("| 0 | `a` | b | — |\n| 1 | `a` | b | — |"), "line 7: `a` has two rows");
        assert_eq!(
            message("| 0 | `a` | b | `b` and `c` |"),
            "line 6: \"`b` and `c`\" is not one crate's name in backticks"
        );
        assert_eq!(message(""), "the floors table has no rows");
    }

    #[test]
    fn a_document_without_the_marks_is_refused() {
        assert!(parse("# Title").unwrap_err().to_string().contains(OPENING));
        assert!(parse(OPENING).unwrap_err().to_string().contains(CLOSING));
    }
}
