//! The structure of the file: SQLite's page check, and the schema.

use rusqlite::{Connection, OptionalExtension, Result};

use crate::{
    error::{is_corruption, reason},
    log::LOG,
};

/// A page that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFault {
    /// Its number, from 1.
    pub(crate) page: u64,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Walks over every page of the file.
pub(crate) fn check(connection: &Connection) -> Result<Option<PageFault>> {
    match find(connection) {
        Err(error) if is_corruption(&error) => {
            Ok(Some(PageFault { page: 1, reason: reason(&error) }))
        }
        result => result,
    }
}

fn find(connection: &Connection) -> Result<Option<PageFault>> {
    let expected = schema(&LOG.in_memory()?)?;
    if schema(connection)? != expected {
        let reason = "the schema is not the one that this format has".to_owned();
        return Ok(Some(PageFault { page: 1, reason }));
    }
    // The check of everything leaves indexes to `indexes.rs`, which is far faster for the large
    // ones; small tables are checked with theirs.
    let checks = [
        "PRAGMA quick_check(20)",
        "PRAGMA integrity_check(stream)",
        "PRAGMA integrity_check(event_type)",
        "PRAGMA integrity_check(context)",
    ];
    for sql in checks {
        let messages = messages(connection, sql)?;
        if let Some(fault) = fault(connection, &messages)? {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// The messages of a check, one a line; none if all is well.
fn messages(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let rows: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
    let lines = rows.iter().flat_map(|row| row.lines());
    Ok(lines.filter(|line| *line != "ok" && !line.starts_with("***")).map(str::to_owned).collect())
}

fn fault(connection: &Connection, messages: &[String]) -> Result<Option<PageFault>> {
    let Some(first) = messages.first() else { return Ok(None) };
    for message in messages {
        if let Some(page) = page_of(message) {
            return Ok(Some(PageFault { page, reason: message.clone() }));
        }
    }
    // A message about a row or an index: its tree begins at the root page.
    let page = name_in(connection, first)?.unwrap_or(1);
    Ok(Some(PageFault { page, reason: first.clone() }))
}

/// The page that a message names; the first page for the list of free pages, whose length and
/// beginning it holds.
fn page_of(message: &str) -> Option<u64> {
    let lower = message.to_ascii_lowercase();
    let number = |rest: &str| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|page| *page > 0)
    };
    let named =
        lower.match_indices("page ").find_map(|(at, word)| number(&lower[at + word.len()..]));
    named.or_else(|| lower.starts_with("freelist").then_some(1))
}

fn name_in(connection: &Connection, message: &str) -> Result<Option<u64>> {
    connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE rootpage > 0 AND instr(?1, name) > 0 \
             ORDER BY length(name) DESC LIMIT 1",
            [message],
            |row| row.get(0),
        )
        .optional()
}

/// The page on which a table or index begins.
pub(crate) fn root_page(connection: &Connection, name: &str) -> Result<u64> {
    connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
}

type Object = (String, String, String, Option<String>);

fn schema(connection: &Connection) -> Result<Vec<Object>> {
    connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_found_in_what_sqlite_says() {
        let pages = [
            ("Tree 9 page 1234 cell 5: Rowid 7 out of order", Some(1_234)),
            ("Tree 9 page 12: btreeInitPage() returns error code 11", Some(12)),
            ("Page 77: never used", Some(77)),
            ("Freelist: size is 3 but should be 0", Some(1)),
            ("non-BLOB value in event.leaf", None),
        ];
        for (message, page) in pages {
            assert_eq!(page_of(message), page, "{message}");
        }
    }
}
