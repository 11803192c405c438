//! Which type a text has, and which type holds two of them.

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Number,
    String,
    Date,
    DateTime,
}

impl Kind {
    /// The narrowest type that inference gives to a text. Never a date: a string says the same.
    pub(super) fn of(text: &[u8]) -> Self {
        if is_integer(text) {
            Self::Integer
        } else if is_decimal(text) {
            Self::Number
        } else if matches!(text, b"true" | b"false") {
            Self::Boolean
        } else {
            Self::String
        }
    }

    /// Whether a text may be written as a value of this inferred type.
    #[inline]
    pub(super) fn fits(self, text: &[u8]) -> bool {
        match self {
            Self::String => true,
            Self::Integer => is_integer(text),
            Self::Number => is_integer(text) || is_decimal(text),
            Self::Boolean => matches!(text, b"true" | b"false"),
            Self::Date | Self::DateTime => false,
        }
    }

    /// The narrowest type that holds the values of both.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if one == two => one,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            (Self::Date, Self::DateTime) | (Self::DateTime, Self::Date) => Self::DateTime,
            _ => Self::String,
        }
    }

    /// The name in bookmarks, configuration and error messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Date => "date",
            Self::DateTime => "date-time",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Boolean, Self::Integer, Self::Number, Self::String, Self::Date, Self::DateTime]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Whether the text is what a 64-bit integer would be written as: `0`, `-7`; not `007`, `-0`, `+1`.
#[inline]
pub(super) fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 => rest.iter().all(u8::is_ascii_digit),
        [b'1'..=b'9', ..] => std::str::from_utf8(text).is_ok_and(|t| t.parse::<i64>().is_ok()),
        _ => false,
    }
}

/// Whether the text is a plain decimal with digits on both sides of its point, as JSON writes them.
#[inline]
pub(super) fn is_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let Some(point) = memchr::memchr(b'.', digits) else { return false };
    let (whole, fraction) = (&digits[..point], &digits[point + 1..]);
    let whole_is_sound = match whole {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    whole_is_sound && !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit)
}

/// Whether the text begins as `2024-05-31`.
fn begins_with_date(text: &[u8]) -> bool {
    text.len() >= 10
        && text[..10].iter().enumerate().all(|(index, byte)| match index {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

pub(super) fn is_date(text: &[u8]) -> bool {
    text.len() == 10 && begins_with_date(text)
}

pub(super) fn is_date_time(text: &[u8]) -> bool {
    begins_with_date(text) && matches!(text.get(10), Some(b'T' | b't' | b' ')) && text.len() >= 16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_texts_that_read_back_the_same_are_numbers() {
        for integer in ["0", "-7", "42", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(Kind::of(integer.as_bytes()), Kind::Integer, "{integer}");
        }
        for number in ["0.5", "-0.50", "12.50", "9999999999999999999999.1", "-0.0"] {
            assert_eq!(Kind::of(number.as_bytes()), Kind::Number, "{number}");
        }
        for string in [
            "007",
            "-0",
            "+1",
            "1e5",
            "9223372036854775808",
            "1,5",
            ".5",
            "5.",
            "0x1",
            "1.2.3",
            "NaN",
            "inf",
            " 1",
            "1 ",
            "-",
            "",
            "--1",
            "01.5",
            "True",
        ] {
            assert_eq!(Kind::of(string.as_bytes()), Kind::String, "{string}");
        }
        assert_eq!(Kind::of(b"true"), Kind::Boolean);
    }

    #[test]
    fn types_widen_and_never_narrow() {
        assert_eq!(Kind::Integer.join(Kind::Number), Kind::Number);
        assert_eq!(Kind::Integer.join(Kind::Boolean), Kind::String);
        assert_eq!(Kind::String.join(Kind::Integer), Kind::String);
    }

    proptest! {
        #[test]
        fn the_joined_type_fits_both_texts(left in "[-0-9.e]{0,6}|true|false", right in "[-0-9.e]{0,6}|true") {
            let joined = Kind::of(left.as_bytes()).join(Kind::of(right.as_bytes()));
            prop_assert!(joined.fits(left.as_bytes()) && joined.fits(right.as_bytes()));
        }

        #[test]
        fn integers_are_texts_that_read_back_the_same(number in any::<i64>()) {
            prop_assert!(is_integer(number.to_string().as_bytes()));
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(json, number.to_string());
        }
    }
}
