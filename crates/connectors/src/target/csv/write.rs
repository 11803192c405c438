//! One record to one row.

use csv_core::{WriteResult, Writer, WriterBuilder};
use flexcore_singer::unquote;

use crate::target::{
    columns::{Columns, ExtraProperties},
    error::SinkError,
};

/// Writes the rows of one file.
pub(super) struct RowWriter {
    columns: Columns,
    writer: Writer,
    delimiter: u8,
}

impl RowWriter {
    pub(super) fn new(names: Vec<String>, delimiter: u8, extra: ExtraProperties) -> Self {
        let writer = WriterBuilder::new().delimiter(delimiter).build();
        Self { columns: Columns::new(names, extra), writer, delimiter }
    }

    pub(super) fn columns(&self) -> &[String] {
        self.columns.names()
    }

    pub(super) fn write_header(&self, out: &mut Vec<u8>) {
        for (index, column) in self.columns().iter().enumerate() {
            self.separate(index, out);
            self.write_text(column, out);
        }
        out.push(b'\n');
    }

    /// Appends the row of a record. On an error nothing has been appended.
    pub(super) fn write(
        &mut self,
        record: &str,
        key: &[usize],
        out: &mut Vec<u8>,
    ) -> Result<(), SinkError> {
        self.columns.locate(record, key)?;
        let count = self.columns().len();
        for index in 0..count {
            self.separate(index, out);
            match self.columns.value(record, index) {
                Some(value) => self.write_value(value, out),
                // An empty line would be no row.
                None if count == 1 => out.extend_from_slice(b"\"\""),
                None => {}
            }
        }
        out.push(b'\n');
        Ok(())
    }

    #[inline]
    fn separate(&self, index: usize, out: &mut Vec<u8>) {
        if index > 0 {
            out.push(self.delimiter);
        }
    }

    #[inline]
    fn write_value(&self, value: &str, out: &mut Vec<u8>) {
        match unquote(value) {
            Some(text) => self.write_text(&text, out),
            // Numbers, booleans, objects and arrays in the text that they came in.
            None => self.write_text(value, out),
        }
    }

    /// Appends a text, in quotes if it needs them. The empty text has them, to differ from null.
    fn write_text(&self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() && !self.writer.should_quote(text.as_bytes()) {
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let start = out.len();
        // Every quote doubled at worst, and the two around.
        out.resize(start + 2 * text.len() + 2, 0);
        out[start] = b'"';
        let room = &mut out[start + 1..];
        let (result, _, length) = csv_core::quote(text.as_bytes(), room, b'"', b'"', true);
        debug_assert!(matches!(result, WriteResult::InputEmpty), "there is room for every quote");
        out.truncate(start + 1 + length);
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[&str], record: &str) -> Result<String, SinkError> {
        let names = columns.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        RowWriter::new(names, b',', ExtraProperties::Ignore).write(record, &[0], &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_keep_their_text_and_null_differs_from_empty() {
        let record =
            r#"{"a":1.50,"b":"x\"y,\nz","c":null,"d":"","e":{"k": [1]},"f":true,"g":" s "}"#;
        assert_eq!(
            row(&["a", "b", "c", "d", "e", "f", "g", "h"], record).unwrap(),
            "1.50,\"x\"\"y,\nz\",,\"\",\"{\"\"k\"\": [1]}\",true, s ,\n"
        );
        assert_eq!(row(&["b", "a"], r#"{"a":1,"b":2}"#).unwrap(), "2,1\n");
    }

    #[test]
    fn null_in_a_single_column_is_still_a_row() {
        let mut out = Vec::new();
        let mut writer = RowWriter::new(vec!["a".to_owned()], b',', ExtraProperties::Fail);
        writer.write_header(&mut out);
        writer.write("{\"a\":null}", &[], &mut out).unwrap();
        assert_eq!(out, b"a\n\"\"\n");
    }
}
