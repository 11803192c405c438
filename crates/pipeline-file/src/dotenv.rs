//! The `.env` file beside `flexcore.yaml`: `NAME=value` lines for development.
//!
//! The syntax is what the common tools agree on: comments, an optional `export`, single quotes
//! (as it is), double quotes (`\n`, `\t`, `\"`, `\\`), and ` #` after a bare value. Nothing is
//! expanded: a `$` stands for itself.

use crate::{
    diagnostic::{Code, Diagnostic, Diagnostics},
    source::{Position, SourceFile},
};

/// The variables of a `.env` text in order; of a name that is there twice the last one counts.
pub(crate) fn parse(source: &SourceFile) -> Result<Vec<(String, String)>, Diagnostics> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        match parse_line(line) {
            Ok(Some((name, value))) => {
                variables.retain(|(known, _)| *known != name);
                variables.push((name, value));
            }
            Ok(None) => {}
            Err(message) => {
                let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
                let length = u32::try_from(line.chars().count()).unwrap_or(1).max(1);
                let position = Position { line: line_number, column: 1, length };
                let diagnostic = Diagnostic::about(Code::Malformed, &source.name, message);
                wrong.push(diagnostic.without_line(position));
            }
        }
    }
    if wrong.is_empty() { Ok(variables) } else { Err(Diagnostics::new(wrong)) }
}

fn parse_line(line: &str) -> Result<Option<(String, String)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=').ok_or("a line of `.env` reads NAME=value")?;
    let name = name.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(legal)
    {
        return Err("the name before `=` has letters, digits and `_`, and no digit first");
    }
    Ok(Some((name.to_owned(), parse_value(value.trim())?)))
}

fn parse_value(value: &str) -> Result<String, &'static str> {
    const UNCLOSED: &str = "a quoted value ends with the same quote on the same line";
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'').ok_or(UNCLOSED)?;
        return ends_there(after).map(|()| inner.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        let (inner, after) = double_quoted(rest).ok_or(UNCLOSED)?;
        return ends_there(after).map(|()| inner);
    }
    let bare = value.find(" #").map_or(value, |comment| &value[..comment]);
    Ok(bare.trim_end().to_owned())
}

fn ends_there(after: &str) -> Result<(), &'static str> {
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') {
        Ok(())
    } else {
        Err("nothing but a comment follows a quoted value")
    }
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('"' | '\\' | '$') => value.push(other),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, Diagnostics> {
        parse(&SourceFile::new(".env", text))
    }

    #[test]
    fn the_common_forms_are_read() {
        let text = "# comment\n\nA=1\nexport B = two words # note\nC='as $it \\n is'\n\
                    D=\"x\\ny \\\"q\\\"\" # c\nE=\nF=a#b\nA=2\n";
        let expected = [
            ("B", "two words"),
            ("C", "as $it \\n is"),
            ("D", "x\ny \"q\""),
            ("E", ""),
            ("F", "a#b"),
            ("A", "2"),
        ];
        let read = read(text).unwrap();
        let read: Vec<_> =
            read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn mistakes_are_located_without_showing_the_value() {
        let shown = read("A=1\nnonsense\n1B=x\nC='open secret\n").unwrap_err().to_string();
        assert!(
            shown.contains(".env:2:1") && shown.contains(".env:3:1") && shown.contains(".env:4:1")
        );
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[A-C=#'\" \\\\\n$é]{0,60}") {
            let _ = read(&text);
        }
    }
}
