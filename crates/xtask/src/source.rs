//! The part of the sources that ships.

use std::ffi::OsStr;
use std::path::Path;

/// Whether this is a Rust file below a crate's `src`, and not a module of tests.
pub(crate) fn ships(file: &Path) -> bool {
    let parts: Vec<&str> = file.iter().filter_map(OsStr::to_str).collect();
    let ["crates", _, "src", inside @ ..] = parts.as_slice() else { return false };
    file.extension() == Some(OsStr::new("rs"))
        && !inside.iter().any(|part| *part == "tests" || *part == "tests.rs")
}

/// The lines of the file outside its `#[cfg(test)]` items.
///
/// Relies on rustfmt's layout: the brace that ends an item stands alone, as far to the left as the
/// line that began it.
pub(crate) fn without_tests(text: &str) -> Vec<&str> {
    let mut lines = text.lines();
    let mut kept = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(&mut lines);
        } else {
            kept.push(line);
        }
    }
    kept
}

/// Passes over the item below an attribute: up to its closing brace, or its semicolon if it has no
/// body.
fn skip_item<'a>(lines: &mut impl Iterator<Item = &'a str>) {
    let Some(first) = lines.by_ref().find(|line| !is_attribute_or_blank(line)) else { return };
    if first.trim_end().ends_with([';', '}']) {
        return;
    }
    let closing = format!("{}}}", indentation(first));
    for line in lines {
        if line == closing {
            return;
        }
    }
}

fn is_attribute_or_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with("#[") || line.starts_with("//")
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_without_tests(text: &str) -> usize {
        without_tests(text).len()
    }

    #[test]
    fn only_sources_below_src_ship_and_test_modules_do_not() {
        for file in ["crates/app/src/lib.rs", "crates/app/src/bus/query.rs"] {
            assert!(ships(Path::new(file)), "{file}");
        }
        for file in [
            "crates/app/tests/it.rs",
            "crates/app/src/bus/tests.rs",
            "crates/app/src/bus/tests/given.rs",
            "crates/app/examples/a.rs",
            "crates/app/src/query.sql",
            "scripts/src/a.rs",
        ] {
            assert!(!ships(Path::new(file)), "{file}");
        }
    }

    #[test]
    fn a_file_without_tests_counts_every_line() {
        assert_eq!(lines_without_tests("//! Doc.\n\nfn a() {\n}\n"), 4);
        assert_eq!(lines_without_tests(""), 0);
    }

    #[test]
    fn the_test_module_at_the_end_does_not_count() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n";
        assert_eq!(lines_without_tests(text), 2);
    }

    #[test]
    fn what_follows_a_test_item_counts_again() {
        let text = "#[cfg(test)]\n#[expect(clippy::a, reason = \"b\")]\nmod tests {\n    x\n}\nfn a() {}\n";
        assert_eq!(lines_without_tests(text), 1);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_one_declaration() {
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 1);
    }

    #[test]
    fn an_inner_test_function_ends_at_its_own_brace() {
        let text = "impl A {\n    #[cfg(test)]\n    fn b() {\n        if c {\n        }\n    }\n    fn d() {}\n}\n";
        assert_eq!(lines_without_tests(text), 3);
    }

    #[test]
    fn an_item_that_never_ends_ends_with_the_file() {
        assert_eq!(lines_without_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n"), 1);
        assert_eq!(lines_without_tests("#[cfg(test)]"), 0);
    }
}
