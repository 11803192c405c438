//! Names of event streams: `<tenant>/<category>/<key part>/…`.

use std::{fmt, str::FromStr, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// What stays readable in an encoded part (RFC 3986 "unreserved"); everything else is escaped, so
/// that a `/` only ever separates parts.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The longest name that a store takes, in bytes of its encoded form.
const MAX_LENGTH: usize = 1_024;

/// The name of one event stream.
///
/// Its text is `<tenant>/<category>/<key parts>`, at least one key part, each part percent-encoded
/// (RFC 3986). Two names are equal if their texts are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

/// Why a text is not a stream name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamNameError {
    /// Fewer than three parts.
    #[error("stream name `{0}` needs a tenant, a category and a key, separated by `/`")]
    TooFewParts(String),
    /// A part between two slashes is empty.
    #[error("stream name `{0}` has an empty part")]
    EmptyPart(String),
    /// A part has bytes that had to be percent-encoded, or is encoded in a second way.
    #[error("stream name `{0}` is not percent-encoded as RFC 3986 has it")]
    NotCanonical(String),
    /// Longer than 1,024 bytes.
    #[error("a stream name of {0} bytes is longer than the limit of 1024")]
    TooLong(usize),
}

impl StreamName {
    /// A name from unencoded parts.
    ///
    /// # Errors
    /// [`StreamNameError`] if a part is empty, no key is given, or the name is too long.
    pub fn new<'a>(
        tenant: &'a str,
        category: &'a str,
        key: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, StreamNameError> {
        let mut text = String::with_capacity(64);
        for part in [tenant, category].into_iter().chain(key) {
            if !text.is_empty() {
                text.push('/');
            }
            text.extend(utf8_percent_encode(part, PART));
        }
        text.parse()
    }

    /// The encoded text, as it is stored and hashed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The decoded tenant.
    pub fn tenant(&self) -> String {
        self.parts().next().unwrap_or_default()
    }

    /// The decoded category: what kind of aggregate the stream belongs to.
    pub fn category(&self) -> String {
        self.parts().nth(1).unwrap_or_default()
    }

    /// All decoded parts: tenant, category, then the key.
    pub fn parts(&self) -> impl Iterator<Item = String> + '_ {
        self.0.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
    }
}

impl FromStr for StreamName {
    type Err = StreamNameError;

    fn from_str(text: &str) -> Result<Self, StreamNameError> {
        if text.len() > MAX_LENGTH {
            return Err(StreamNameError::TooLong(text.len()));
        }
        if text.split('/').count() < 3 {
            return Err(StreamNameError::TooFewParts(text.to_owned()));
        }
        for part in text.split('/') {
            if part.is_empty() {
                return Err(StreamNameError::EmptyPart(text.to_owned()));
            }
            let decoded = percent_decode_str(part)
                .decode_utf8()
                .map_err(|_| StreamNameError::NotCanonical(text.to_owned()))?;
            if !utf8_percent_encode(&decoded, PART).to_string().eq(part) {
                return Err(StreamNameError::NotCanonical(text.to_owned()));
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slash_inside_a_part_does_not_separate() {
        let name = StreamName::new("default", "data-stream", ["dev", "a/b"]).unwrap();
        assert_eq!(name.as_str(), "default/data-stream/dev/a%2Fb");
        assert_eq!(name.parts().last().as_deref(), Some("a/b"));
    }

    #[test]
    fn malformed_names_say_what_is_wrong() {
        let error = |text: &str| text.parse::<StreamName>().unwrap_err();
        assert_eq!(error("a/b"), StreamNameError::TooFewParts("a/b".into()));
        assert_eq!(error("a//c"), StreamNameError::EmptyPart("a//c".into()));
        assert_eq!(error("a/b/ c"), StreamNameError::NotCanonical("a/b/ c".into()));
        assert_eq!(error("a/b/%41"), StreamNameError::NotCanonical("a/b/%41".into()));
        assert_eq!(error(&"x/".repeat(600)), StreamNameError::TooLong(1_200));
    }

    proptest! {
        #[test]
        fn any_parts_come_back(
            tenant in ".{1,20}", category in ".{1,20}", key in prop::collection::vec(".{1,20}", 1..4)
        ) {
            let Ok(name) = StreamName::new(&tenant, &category, key.iter().map(String::as_str)) else {
                return Ok(()); // longer than the limit
            };
            let parts: Vec<String> = name.parts().collect();
            prop_assert_eq!(&parts[0], &tenant);
            prop_assert_eq!(&parts[1], &category);
            prop_assert_eq!(&parts[2..], &key[..]);
            prop_assert_eq!(name.as_str().parse::<StreamName>().unwrap(), name);
        }
    }
}
