//! Incremental streams: which rows are new by the value of their replication key.

use std::cmp::Ordering;

use flexcore_singer::{Json, compare_numbers};

use crate::tap::format::KeyValue;

/// Which rows of an incremental stream are new.
pub(crate) struct Increment {
    /// The replication key.
    pub(crate) property: String,
    /// Rows up to here were sent by earlier passes.
    pub(crate) threshold: Option<Position>,
    /// Greatest value of this pass.
    pub(crate) maximum: Option<Position>,
}

/// A value of the replication key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    is_number: bool,
    text: String,
}

impl Increment {
    /// Greater values are new. In rows that were appended to a file that was read before, equal
    /// ones and nulls are new as well: those rows were certainly not sent.
    pub(crate) fn admits(&self, value: KeyValue<'_>, inclusive: bool) -> bool {
        let Some(threshold) = &self.threshold else { return true };
        match threshold.compare(value) {
            None | Some(Ordering::Equal) => inclusive,
            Some(ordering) => ordering == Ordering::Less,
        }
    }

    pub(crate) fn note(&mut self, value: KeyValue<'_>) {
        let is_greater = match &self.maximum {
            None => value != KeyValue::Null,
            Some(maximum) => maximum.compare(value) == Some(Ordering::Less),
        };
        if !is_greater {
            return;
        }
        let (is_number, text) = match value {
            KeyValue::Null => return,
            KeyValue::Number(text) => (true, text),
            KeyValue::Text(text) => (false, text),
        };
        let maximum =
            self.maximum.get_or_insert_with(|| Position { is_number, text: String::new() });
        maximum.is_number = is_number;
        maximum.text.clear();
        maximum.text.push_str(text);
    }
}

impl Position {
    pub(crate) fn of(json: &Json) -> Self {
        match json {
            Json::String(text) => Self { is_number: false, text: text.clone() },
            number => Self { is_number: true, text: number.to_string() },
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        if self.is_number { Json::Number(self.text.clone()) } else { self.text.as_str().into() }
    }

    /// Numbers by value, anything else as text; `None` for null.
    fn compare(&self, value: KeyValue<'_>) -> Option<Ordering> {
        match value {
            KeyValue::Null => None,
            KeyValue::Number(text) if self.is_number => compare_numbers(&self.text, text),
            KeyValue::Number(text) | KeyValue::Text(text) => Some(self.text.as_str().cmp(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increment(threshold: Option<&str>) -> Increment {
        let threshold = threshold.map(|text| Position { is_number: true, text: text.to_owned() });
        Increment { property: "id".to_owned(), threshold, maximum: None }
    }

    #[test]
    fn greater_values_are_new_and_equal_ones_only_behind_what_was_read() {
        let some = increment(Some("10"));
        for (value, inclusive, expected) in [
            (KeyValue::Number("9"), true, false),
            (KeyValue::Number("10.0"), false, false),
            (KeyValue::Number("10.0"), true, true),
            (KeyValue::Number("11"), false, true),
            (KeyValue::Null, false, false),
            (KeyValue::Null, true, true),
        ] {
            assert_eq!(some.admits(value, inclusive), expected, "{value:?} {inclusive}");
        }
        assert!(increment(None).admits(KeyValue::Null, false), "everything is new at first");
    }

    #[test]
    fn the_maximum_is_by_value_and_nulls_have_none() {
        let mut increment = increment(None);
        for value in
            [KeyValue::Null, KeyValue::Number("9"), KeyValue::Number("10"), KeyValue::Number("2")]
        {
            increment.note(value);
        }
        assert_eq!(increment.maximum.map(|m| m.to_json()), Some(Json::Number("10".to_owned())));
    }
}
