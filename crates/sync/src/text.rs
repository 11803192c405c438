//! Text of others, cut to a length that people and events can take.

use std::borrow::Cow;

/// How much of a foreign line is quoted in a message.
const EXCERPT: usize = 400;

/// The beginning of a line for a message; what is not UTF-8 is replaced.
pub(crate) fn excerpt(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(EXCERPT + 1)]);
    cut(&text, EXCERPT).into_owned()
}

/// At most `length` bytes of a text, and a mark if that is not all.
pub(crate) fn cut(text: &str, length: usize) -> Cow<'_, str> {
    if text.len() <= length {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(length);
    Cow::Owned(format!("{}…", &text[..end]))
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aéb", 2), "a…");
        assert_eq!(excerpt(b"a\xff"), "a\u{fffd}");
        assert_eq!(excerpt(&[b'x'; 500]).len(), EXCERPT + "…".len());
    }
}
