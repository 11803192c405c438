//! Finds the values of a record by column, without copying them.

use std::{collections::HashMap, ops::Range};

use flexcore_singer::members;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::target::error::SinkError;

/// What to do with properties of a record that the SCHEMA does not name.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExtraProperties {
    /// Refuse the record.
    #[default]
    Fail,
    /// Leave them out.
    Ignore,
}

/// The columns of a stream and the values that the record at hand has for them.
#[derive(Debug)]
pub(crate) struct Columns {
    names: Vec<String>,
    index: HashMap<String, usize>,
    extra: ExtraProperties,
    /// Where each value stands in the text of the record; `None` is null or missing.
    values: Vec<Option<Range<usize>>>,
}

impl Columns {
    pub(crate) fn new(names: Vec<String>, extra: ExtraProperties) -> Self {
        let index = names.iter().enumerate().map(|(at, name)| (name.clone(), at)).collect();
        let values = vec![None; names.len()];
        Self { names, index, extra, values }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Finds the values of a record; those of `key` must not be null. Of two members of one name
    /// the last counts.
    pub(crate) fn locate(&mut self, record: &str, key: &[usize]) -> Result<(), SinkError> {
        self.values.fill(None);
        for (guess, member) in members(record).enumerate() {
            let member = member?;
            let found = match self.names.get(guess) {
                Some(name) if *name == member.key => Some(guess),
                _ => self.find(&member.key),
            };
            match found {
                // The value borrows from the record, so its place in it follows.
                Some(index) if member.value != "null" => {
                    let start = member.value.as_ptr().addr() - record.as_ptr().addr();
                    self.values[index] = Some(start..start + member.value.len());
                }
                Some(index) => self.values[index] = None,
                None if self.extra == ExtraProperties::Ignore => {}
                None => return Err(SinkError::ExtraProperty(member.key.into_owned())),
            }
        }
        match key.iter().find(|index| self.values[**index].is_none()) {
            Some(key) => Err(SinkError::NullKey(self.names[*key].clone())),
            None => Ok(()),
        }
    }

    /// The raw value of a column in the record that was located last.
    #[inline]
    pub(crate) fn value<'a>(&self, record: &'a str, index: usize) -> Option<&'a str> {
        self.values[index].clone().map(|range| &record[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(extra: ExtraProperties) -> Columns {
        Columns::new(vec!["a".to_owned(), "b".to_owned()], extra)
    }

    #[test]
    fn values_are_found_in_any_order_and_null_is_as_missing() {
        let mut columns = columns(ExtraProperties::Fail);
        let record = r#"{"b": [1, 2] ,"a":null}"#;
        columns.locate(record, &[1]).unwrap();
        assert_eq!(columns.value(record, 0), None);
        assert_eq!(columns.value(record, 1), Some("[1, 2]"));
        columns.locate("{}", &[]).unwrap();
        assert_eq!(columns.value("{}", 1), None);
    }

    #[test]
    fn extra_properties_and_null_keys_are_errors() {
        let mut strict = columns(ExtraProperties::Fail);
        let message = |error: SinkError| error.to_string();
        let extra = strict.locate(r#"{"a":1,"x":2}"#, &[0]).map_err(message).unwrap_err();
        assert!(extra.starts_with("property 'x' is not in the SCHEMA"), "{extra}");
        let null = strict.locate(r#"{"a":null}"#, &[0]).map_err(message).unwrap_err();
        assert_eq!(null, "key property 'a' is missing or null");
        columns(ExtraProperties::Ignore).locate(r#"{"x":2,"a":1}"#, &[0]).unwrap();
    }
}
