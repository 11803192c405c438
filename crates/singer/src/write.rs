//! Writers: each appends one message and its line end to a buffer.

use crate::{
    message::{ActivateVersionMessage, BatchMessage, RecordMessage, SchemaMessage, StateMessage},
    text::write_string,
};

/// Appends a RECORD up to the place where the record's own object begins.
///
/// For hot loops: write the start once, copy it for each record, append the object and `}\n`.
pub fn write_record_start(out: &mut Vec<u8>, stream: &str) {
    out.extend_from_slice(b"{\"type\":\"RECORD\",\"stream\":");
    write_string(out, stream);
    out.extend_from_slice(b",\"record\":");
}

fn write_names(out: &mut Vec<u8>, names: &[String]) {
    out.push(b'[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
    }
    out.push(b']');
}

impl SchemaMessage<'_> {
    /// Appends the message as a line.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"SCHEMA\",\"stream\":");
        write_string(out, &self.stream);
        out.extend_from_slice(b",\"schema\":");
        out.extend_from_slice(self.schema.as_bytes());
        out.extend_from_slice(b",\"key_properties\":");
        write_names(out, &self.key_properties);
        if !self.bookmark_properties.is_empty() {
            out.extend_from_slice(b",\"bookmark_properties\":");
            write_names(out, &self.bookmark_properties);
        }
        out.extend_from_slice(b"}\n");
    }
}

impl RecordMessage<'_> {
    /// Appends the message as a line.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        write_record_start(out, &self.stream);
        out.extend_from_slice(self.record.as_bytes());
        if let Some(version) = self.version {
            out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
        }
        if let Some(time) = &self.time_extracted {
            out.extend_from_slice(b",\"time_extracted\":");
            write_string(out, time);
        }
        out.extend_from_slice(b"}\n");
    }
}

impl StateMessage<'_> {
    /// Appends the message as a line.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"STATE\",\"value\":");
        out.extend_from_slice(self.value.as_bytes());
        out.extend_from_slice(b"}\n");
    }
}

impl ActivateVersionMessage<'_> {
    /// Appends the message as a line.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"ACTIVATE_VERSION\",\"stream\":");
        write_string(out, &self.stream);
        out.extend_from_slice(format!(",\"version\":{}}}\n", self.version).as_bytes());
    }
}

impl BatchMessage<'_> {
    /// Appends the message as a line.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"BATCH\",\"stream\":");
        write_string(out, &self.stream);
        out.extend_from_slice(b",\"encoding\":{\"format\":");
        write_string(out, &self.format);
        if let Some(compression) = &self.compression {
            out.extend_from_slice(b",\"compression\":");
            write_string(out, compression);
        }
        out.extend_from_slice(b"},\"manifest\":");
        write_names(out, &self.manifest);
        out.extend_from_slice(b"}\n");
    }
}
