//! Exact comparison of bookmark values, without floating point.

use std::cmp::Ordering;

use crate::json::Json;

/// Compares two JSON numbers by value, whatever their length; `None` if one is not a number.
pub fn compare_numbers(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
    Some(match (left.sign(), right.sign()) {
        (1, 1) => left.compare_magnitude(&right),
        (-1, -1) => right.compare_magnitude(&left),
        (left, right) => left.cmp(&right),
    })
}

/// Compares two values where an order is certain: numbers by value, and dates or times of the same
/// shape (same length, same time zone) as text. `None` otherwise.
pub fn compare_values(left: &Json, right: &Json) -> Option<Ordering> {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => compare_numbers(left, right),
        (Json::String(left), Json::String(right)) => {
            same_time_shape(left, right).then(|| left.cmp(right))
        }
        _ => None,
    }
}

/// A number as digits times a power of ten; the digits have neither leading nor trailing zeros.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        };
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        (!whole.is_empty() && digits(whole) && digits(fraction)).then_some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes()).skip_while(|digit| *digit == b'0')
    }

    fn sign(&self) -> i8 {
        match (self.digits().next(), self.negative) {
            (None, _) => 0,
            (Some(_), false) => 1,
            (Some(_), true) => -1,
        }
    }

    /// Power of ten of the first digit that is not zero.
    fn magnitude(&self) -> i64 {
        let all = self.whole.len() + self.fraction.len();
        let leading_zeros = all - self.digits().count();
        let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.exponent.saturating_add(length(self.whole.len())).saturating_sub(length(leading_zeros))
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        self.magnitude().cmp(&other.magnitude()).then_with(|| {
            let mut left = self.digits();
            let mut right = other.digits();
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return Ordering::Equal,
                    (one, two) => match one.unwrap_or(b'0').cmp(&two.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        })
    }
}

/// Both begin as ISO dates, have digits at the same places, and end in the same zone.
fn same_time_shape(left: &str, right: &str) -> bool {
    let is_date = |text: &str| {
        text.len() >= 10
            && text.bytes().take(10).enumerate().all(|(index, byte)| match index {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    // An offset such as +02:00 must be equal to the letter, or text order is not time order.
    let zone = |text: &str| {
        text.get(19..).and_then(|end| end.find(['+', '-', 'Z']).map(|at| end[at..].to_owned()))
    };
    is_date(left)
        && is_date(right)
        && left.len() == right.len()
        && left
            .bytes()
            .zip(right.bytes())
            .all(|(one, two)| one == two || (one.is_ascii_digit() && two.is_ascii_digit()))
        && zone(left) == zone(right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        for (left, right, expected) in [
            ("1", "1.0", Ordering::Equal),
            ("0", "-0.00", Ordering::Equal),
            ("100", "1e2", Ordering::Equal),
            ("0.001", "1E-3", Ordering::Equal),
            ("9", "10", Ordering::Less),
            ("-9", "-10", Ordering::Greater),
            ("-1", "1", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("1e400", "9e399", Ordering::Greater),
        ] {
            assert_eq!(compare_numbers(left, right), Some(expected), "{left} {right}");
        }
        assert_eq!(compare_numbers("x", "1"), None);
        assert_eq!(compare_numbers("1e", "1"), None);
    }

    #[test]
    fn times_compare_only_in_the_same_shape() {
        let compare = |left: &str, right: &str| compare_values(&left.into(), &right.into());
        assert_eq!(compare("2024-01-02", "2024-01-01"), Some(Ordering::Greater));
        assert_eq!(
            compare("2024-01-01T10:00:00+02:00", "2024-01-01T09:00:00+00:00"),
            None,
            "another offset"
        );
        assert_eq!(compare("2024-01-01", "2024-01-01T00:00:00Z"), None);
        assert_eq!(compare("abc", "abd"), None);
        assert_eq!(compare_values(&1_u64.into(), &"1".into()), None);
    }

    proptest! {
        #[test]
        fn integers_compare_as_integers(left in any::<i64>(), right in any::<i64>()) {
            let found = compare_numbers(&left.to_string(), &right.to_string());
            prop_assert_eq!(found, Some(left.cmp(&right)));
        }

        #[test]
        fn no_text_panics_the_comparison(left in ".*", right in ".*") {
            compare_numbers(&left, &right);
            compare_values(&left.as_str().into(), &right.as_str().into());
        }
    }
}
