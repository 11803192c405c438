//! Stable error codes (`FC0001`) and their pages belong together: people look up what they were
//! shown.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::repository::Repository;
use crate::source;
use crate::violation::Violation;

const PREFIX: &str = "FC";
const DIGITS: usize = 4;

/// Lists every page.
const INDEX: &str = "docs/errors/README.md";

/// Holds the codes in the crates' sources against the pages in `docs/errors`, and these against
/// their index.
pub(crate) fn check(repository: &Repository) -> anyhow::Result<Vec<Violation>> {
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut pages = BTreeSet::new();
    for file in repository.files()? {
        if let Some(code) = page_code(&file) {
            pages.insert(code);
        } else if has_codes(&file) {
            for code in codes_in_source(&repository.read(&file)?) {
                used.entry(code).or_insert_with(|| file.clone());
            }
        }
    }
    let mut violations = compare(&used, &pages);
    violations.extend(missing_in_index(&pages, &codes_in(&repository.read(INDEX)?)));
    Ok(violations)
}

fn compare(used: &BTreeMap<String, PathBuf>, pages: &BTreeSet<String>) -> Vec<Violation> {
    let missing = used.iter().filter(|(code, _)| !pages.contains(*code)).map(|(code, file)| {
        let message =
            format!("{code} has no page; write docs/errors/{code}.md (cause, what to do)");
        Violation::error(file, message)
    });
    let unused = pages.iter().filter(|code| !used.contains_key(*code)).map(|code| {
        Violation::error(format!("docs/errors/{code}.md"), "no crate uses this code; remove it")
    });
    missing.chain(unused).collect()
}

fn missing_in_index(pages: &BTreeSet<String>, listed: &BTreeSet<String>) -> Vec<Violation> {
    let missing = pages.difference(listed);
    missing.map(|code| Violation::error(INDEX, format!("{code} is not listed"))).collect()
}

fn page_code(file: &Path) -> Option<String> {
    if file.parent() != Some(Path::new("docs/errors")) || file.extension() != Some(OsStr::new("md"))
    {
        return None;
    }
    let stem = file.file_stem()?.to_str()?;
    codes_in(stem).into_iter().find(|code| code == stem)
}

/// This crate speaks of codes and has none.
fn has_codes(file: &Path) -> bool {
    source::ships(file) && !file.starts_with("crates/xtask")
}

/// The codes of what ships; tests may make up their own.
fn codes_in_source(text: &str) -> BTreeSet<String> {
    source::without_tests(text).into_iter().flat_map(codes_in).collect()
}

/// Every code in the text: the prefix and exactly four digits, on its own.
fn codes_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| is_code(word))
        .map(str::to_owned)
        .collect()
}

fn is_code(word: &str) -> bool {
    word.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_whole_words() {
        let codes = codes_in("#[code(FC0001)] \"FC0020\" FC1 FC00001 XFC0003 FC0004a");
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["FC0001", "FC0020"]);
    }

    #[test]
    fn codes_that_only_tests_use_need_no_page() {
        let text = "const A: &str = \"FC0001\";\n#[cfg(test)]\nmod tests {\n    \"FC0002\"\n}\n";
        assert_eq!(codes_in_source(text), BTreeSet::from(["FC0001".to_owned()]));
    }

    #[test]
    fn only_markdown_files_named_after_a_code_are_pages() {
        assert_eq!(page_code(Path::new("docs/errors/FC0001.md")).as_deref(), Some("FC0001"));
        assert_eq!(page_code(Path::new("docs/errors/README.md")), None);
        assert_eq!(page_code(Path::new("docs/FC0001.md")), None);
    }

    #[test]
    fn a_code_without_page_and_a_page_without_code_are_both_reported() {
        let used = BTreeMap::from([("FC0001".to_owned(), PathBuf::from("crates/cli/src/a.rs"))]);
        let pages = BTreeSet::from(["FC0002".to_owned()]);
        let shown: Vec<String> = compare(&used, &pages).iter().map(ToString::to_string).collect();
        assert!(
            shown[0].starts_with("error: crates/cli/src/a.rs: FC0001 has no page"),
            "{shown:?}"
        );
        assert!(shown[1].starts_with("error: docs/errors/FC0002.md: no crate"), "{shown:?}");
    }

    #[test]
    fn a_page_that_the_index_does_not_list_is_reported() {
        let pages = BTreeSet::from(["FC0001".to_owned(), "FC0002".to_owned()]);
        let found = missing_in_index(&pages, &codes_in("| [FC0001](FC0001.md) |"));
        assert_eq!(found, [Violation::error(INDEX, "FC0002 is not listed")]);
    }

    #[test]
    fn codes_with_pages_pass() {
        let used = BTreeMap::from([("FC0001".to_owned(), PathBuf::from("a.rs"))]);
        assert_eq!(compare(&used, &BTreeSet::from(["FC0001".to_owned()])), []);
    }
}
