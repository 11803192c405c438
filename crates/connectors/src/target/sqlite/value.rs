//! From the raw text of a JSON value to what a column stores.

use std::borrow::Cow;

use flexcore_singer::unquote;
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::schema::ColumnType;
use crate::target::error::SinkError;

/// A REAL keeps this many significant decimal digits of any number (`DBL_DIG` of IEEE 754).
const REAL_DIGITS: usize = 15;

/// A value to be bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Turns a sound JSON value that is not null into what a column of this type stores.
pub(super) fn bind<'a>(
    property: &str,
    kind: ColumnType,
    value: &'a str,
) -> Result<Bound<'a>, SinkError> {
    let misfit = || SinkError::Misfit {
        property: property.to_owned(),
        found: value.chars().take(60).collect(),
        expected: kind.sql(),
    };
    Ok(match (kind, value.as_bytes().first()) {
        (ColumnType::Text, Some(b'"')) => Bound::Text(unquote(value).ok_or_else(misfit)?),
        (ColumnType::Text, _) => Bound::Text(Cow::Borrowed(value)),
        (ColumnType::Boolean, _) => match value {
            "true" => Bound::Integer(1),
            "false" => Bound::Integer(0),
            _ => return Err(misfit()),
        },
        (ColumnType::Integer, Some(b'-' | b'0'..=b'9')) => {
            Bound::Integer(integer(value).ok_or_else(misfit)?)
        }
        (ColumnType::Real, Some(b'-' | b'0'..=b'9')) => {
            Bound::Real(real(value).ok_or_else(|| SinkError::Decimal {
                property: property.to_owned(),
                text: value.chars().take(60).collect(),
            })?)
        }
        _ => return Err(misfit()),
    })
}

/// A whole number of 64 bits; JSON Schema counts `5.0` as one too.
fn integer(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

/// The number as a REAL, if that keeps its digits.
fn real(text: &str) -> Option<f64> {
    if significant_digits(text) > REAL_DIGITS {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Digits without the zeros in front and behind, which the exponent holds.
fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = || mantissa.bytes().filter(u8::is_ascii_digit);
    let leading = digits().take_while(|digit| *digit == b'0').count();
    let trailing = digits().rev().take_while(|digit| *digit == b'0').count();
    digits().count().saturating_sub(leading + trailing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(kind: ColumnType, value: &str) -> Result<Bound<'_>, String> {
        bind("p", kind, value).map_err(|error| error.to_string())
    }

    #[test]
    fn values_become_what_their_column_stores() {
        let text = |text: &'static str| Bound::Text(text.into());
        assert_eq!(bound(ColumnType::Integer, "-7"), Ok(Bound::Integer(-7)));
        assert_eq!(bound(ColumnType::Integer, "5.00"), Ok(Bound::Integer(5)));
        assert_eq!(bound(ColumnType::Real, "12.50"), Ok(Bound::Real(12.5)));
        assert_eq!(bound(ColumnType::Real, "100000000000000000000"), Ok(Bound::Real(1e20)));
        assert_eq!(bound(ColumnType::Boolean, "true"), Ok(Bound::Integer(1)));
        assert_eq!(bound(ColumnType::Text, "12.50"), Ok(text("12.50")));
        assert_eq!(bound(ColumnType::Text, "false"), Ok(text("false")));
        assert_eq!(bound(ColumnType::Text, r#""a\nb""#), Ok(text("a\nb")));
        assert_eq!(bound(ColumnType::Text, r#"{"a": 1.0}"#), Ok(text(r#"{"a": 1.0}"#)));
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_the_way_out() {
        insta::assert_snapshot!(
            [
                bound(ColumnType::Integer, "9223372036854775808"),
                bound(ColumnType::Integer, "1.5"),
                bound(ColumnType::Integer, "\"1\""),
                bound(ColumnType::Boolean, "1"),
                bound(ColumnType::Real, "true"),
                bound(ColumnType::Real, "0.1234567890123456"),
                bound(ColumnType::Real, "1e400"),
            ]
            .map(Result::unwrap_err)
            .join("\n"),
            @r#"
        property 'p': 9223372036854775808 does not fit its type INTEGER
        property 'p': 1.5 does not fit its type INTEGER
        property 'p': "1" does not fit its type INTEGER
        property 'p': 1 does not fit its type BOOLEAN
        property 'p': true does not fit its type REAL
        property 'p': 0.1234567890123456 has more than 15 significant digits, which a REAL would not keep; set `decimals: text`
        property 'p': 1e400 has more than 15 significant digits, which a REAL would not keep; set `decimals: text`
        "#
        );
    }

    proptest! {
        #[test]
        fn a_real_keeps_every_digit_that_it_is_trusted_with(
            digits in 1_u64..999_999_999_999_999,
            point in 1_u32..15,
        ) {
            let scale = 10_u64.pow(point);
            let text = format!("{}.{:0width$}", digits / scale, digits % scale, width = point as usize);
            let stored = real(&text).unwrap();
            let back = format!("{stored:.*}", point as usize);
            prop_assert_eq!(back, text);
        }
    }
}
