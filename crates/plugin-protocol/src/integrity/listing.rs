//! `MANIFEST.sha256`: every file of a plugin with its digest.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::path::{ContentPath, InvalidContentPath};
use super::{LISTING_FILE, MANIFEST_FILE, is_digest};

/// Most lines of a listing; real plugins with their libraries have a few thousand.
const MAX_FILES: usize = 100_000;

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere, such as while a file was copied.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        (is_digest(text) && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// Every file of a plugin with its digest, sorted by path.
///
/// A symbolic link to a file is listed like a file with the bytes that it leads to, as `sha256sum`
/// reads it, so that a link that is turned elsewhere is seen. A link to a folder has no place in a
/// listing: whoever collects the files of a signed plugin refuses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentListing(BTreeMap<ContentPath, ContentDigest>);

/// What is wrong with a listing, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of {LISTING_FILE}: {problem}")]
pub struct ListingError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: ListingProblem,
}

/// What can be wrong with a line of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListingProblem {
    /// Not a digest, two spaces and a path.
    #[error("expected 64 lower-case hexadecimal digits, two spaces and a path")]
    Form,
    /// The last line does not end.
    #[error("the line does not end; the file may have been cut short")]
    NoEnd,
    /// The path could lead elsewhere.
    #[error(transparent)]
    Path(InvalidContentPath),
    /// Lines are not sorted by path, or a path is there twice.
    #[error(
        "the path does not come after that of the line before; lines are sorted, each path once"
    )]
    Order,
    /// The listing itself.
    #[error("a listing cannot list itself")]
    Itself,
    /// Beyond all measure.
    #[error("there are more than {MAX_FILES} lines")]
    TooMany,
}

impl ListingError {
    /// Its stable code; the page is in `docs/errors`.
    pub const CODE: &str = "FC0607";
}

impl ContentListing {
    /// Reads a listing. There is one text for one content, so anything but that text is refused.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, ListingError> {
        let mut files = BTreeMap::new();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let wrong = |problem| ListingError { line: index + 1, problem };
            let line = line.strip_suffix('\n').ok_or_else(|| wrong(ListingProblem::NoEnd))?;
            let (path, digest) = parse_line(line).map_err(wrong)?;
            let follows = files.last_key_value().is_none_or(|(last, _)| *last < path);
            if !follows {
                return Err(wrong(ListingProblem::Order));
            }
            if files.len() == MAX_FILES {
                return Err(wrong(ListingProblem::TooMany));
            }
            files.insert(path, digest);
        }
        Ok(Self(files))
    }

    /// The digest of a file, if the listing has it.
    pub fn get(&self, path: &str) -> Option<ContentDigest> {
        self.0.get(&ContentPath::parse(path).ok()?).copied()
    }

    /// Each file with its digest, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&ContentPath, ContentDigest)> {
        self.0.iter().map(|(path, digest)| (path, *digest))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The digest of the whole plugin: that of the listing's text.
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(self.to_string().as_bytes())
    }

    /// The digest of everything but the manifest, which is what a manifest says of its plugin.
    pub fn artifact_digest(&self) -> ContentDigest {
        let mut others = self.clone();
        others.0.retain(|path, _| path.as_str() != MANIFEST_FILE);
        others.digest()
    }
}

impl FromIterator<(ContentPath, ContentDigest)> for ContentListing {
    /// A listing of files; itself is left out. Whoever collects the files leaves out the signature.
    fn from_iter<I: IntoIterator<Item = (ContentPath, ContentDigest)>>(files: I) -> Self {
        let not_itself = |(path, _): &(ContentPath, _)| path.as_str() != LISTING_FILE;
        Self(files.into_iter().filter(not_itself).collect())
    }
}

impl fmt::Display for ContentListing {
    /// The text of the file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, digest) in &self.0 {
            write!(formatter, "{digest}  {path}")?;
            formatter.write_char('\n')?;
        }
        Ok(())
    }
}

fn parse_line(line: &str) -> Result<(ContentPath, ContentDigest), ListingProblem> {
    let (digest, path) = line.split_once("  ").ok_or(ListingProblem::Form)?;
    let digest = ContentDigest::parse(digest).ok_or(ListingProblem::Form)?;
    let path = ContentPath::parse(path).map_err(ListingProblem::Path)?;
    if path.as_str() == LISTING_FILE { Err(ListingProblem::Itself) } else { Ok((path, digest)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(path: &str) -> String {
        format!("{}  {path}\n", ContentDigest::of(path.as_bytes()))
    }

    #[test]
    fn the_manifest_does_not_change_the_digest_that_it_holds() {
        let listing = |manifest: &str| -> ContentListing {
            let files = [(MANIFEST_FILE, manifest), ("bin/tap", "program")];
            let entry = |(path, text): (&str, &str)| {
                (ContentPath::parse(path).unwrap(), ContentDigest::of(text.as_bytes()))
            };
            files.into_iter().map(entry).collect()
        };
        assert_eq!(listing("a").artifact_digest(), listing("b").artifact_digest());
        assert_ne!(listing("a").digest(), listing("b").digest());
    }

    #[test]
    fn each_mistake_has_its_line_and_name() {
        use ListingProblem as Problem;
        let cases = [
            (format!("{}{}", line("b"), line("a")), 2, Problem::Order),
            (format!("{}{}", line("a"), line("a")), 2, Problem::Order),
            (line("../a"), 1, Problem::Path(InvalidContentPath::Parent)),
            (line("/a"), 1, Problem::Path(InvalidContentPath::Absolute)),
            (line("MANIFEST.sha256"), 1, Problem::Itself),
            (line("a").trim_end().to_owned(), 1, Problem::NoEnd),
            (line("a").to_uppercase(), 1, Problem::Form),
            (line("a").replace("  ", " "), 1, Problem::Form),
            (format!("{}\n", line("a")), 2, Problem::Form),
            (line("a\r"), 1, Problem::Path(InvalidContentPath::Characters)),
        ];
        for (text, line, problem) in cases {
            assert_eq!(ContentListing::parse(&text), Err(ListingError { line, problem }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_listing_reads_back(
            files in proptest::collection::vec("[a-z .-]{1,5}(/[a-zé]{1,3}){0,2}", 0..9)
        ) {
            let listing: ContentListing = files
                .iter()
                .filter_map(|path| ContentPath::parse(path).ok())
                .map(|path| { let digest = ContentDigest::of(path.as_str().as_bytes()); (path, digest) })
                .collect();
            prop_assert_eq!(ContentListing::parse(&listing.to_string()), Ok(listing));
        }

        #[test]
        fn what_is_read_is_the_one_text(text in "([0-9a-f]{64} {1,2}[a-z/.]{1,4}\n){0,3}|\\PC{0,40}") {
            if let Ok(listing) = ContentListing::parse(&text) {
                prop_assert_eq!(listing.to_string(), text);
            }
        }
    }
}
