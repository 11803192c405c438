//! One record.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Failure;

/// One record as it came: a JSON object as text, so that numbers keep every digit for whoever
/// passes it on.
#[derive(Debug, Clone)]
pub struct Record {
    stream: Arc<str>,
    number: u64,
    line: Bytes,
}

impl Record {
    pub(crate) fn new(stream: Arc<str>, number: u64, line: Bytes) -> Self {
        Self { stream, number, line }
    }

    /// The data stream that it belongs to.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// Which record of the call it is, from 1, over all data streams.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its text, without the end of the line.
    pub fn json(&self) -> &[u8] {
        &self.line
    }

    /// Its text as a value that serializes as it came.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn raw(&self) -> Result<&RawValue, Failure> {
        serde_json::from_slice(&self.line).map_err(|error| self.wrong(&error))
    }

    /// The record as a type of the author's. Numbers become what the type says: a field that is
    /// [`serde_json::Value`] rounds decimals of more than 15 digits, a `Box<RawValue>` keeps them.
    ///
    /// # Errors
    /// A [`Failure`] of class data that names the record.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.line).map_err(|error| self.wrong(&error))
    }

    fn wrong(&self, error: &serde_json::Error) -> Failure {
        Failure::data(format!(
            "record {} of data stream `{}` cannot be read: {error}",
            self.number, self.stream
        ))
    }
}
