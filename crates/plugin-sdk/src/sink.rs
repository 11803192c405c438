//! The records that go out.

use std::{future::poll_fn, sync::Arc, task::ready};

use flexcore_plugin_protocol::protobuf::v1::{self, execute_response::Message};
use serde::Serialize;
use serde_json::Value;

use crate::{DataStream, Failure, Record, exchange::Exchange};

/// Takes what a call sends: records, bookmarks and lines of the log.
#[derive(Debug)]
pub struct Sink {
    exchange: Arc<Exchange>,
}

impl Sink {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }

    /// Says what the records of a data stream are like, before its first record. Without it the
    /// records may be any object.
    ///
    /// # Errors
    /// A [`Failure`] of class internal if it was declared before, or has records already.
    pub fn declare(&mut self, stream: DataStream) -> Result<(), Failure> {
        self.exchange.declare(stream)
    }

    /// Sends a record to a data stream. Waits while the host takes nothing more.
    ///
    /// # Errors
    /// A [`Failure`] if it is no JSON object, is longer than 15 MiB, or the host asked to stop.
    pub async fn send<T: Serialize + ?Sized>(
        &mut self,
        stream: &str,
        record: &T,
    ) -> Result<(), Failure> {
        let line = serde_json::to_vec(record)
            .map_err(|error| Failure::internal(format!("a record is no JSON: {error}")))?;
        self.send_line(stream, line).await
    }

    /// Sends a record as text that is JSON already; its numbers keep every digit.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_json(
        &mut self,
        stream: &str,
        record: impl Into<Vec<u8>>,
    ) -> Result<(), Failure> {
        self.send_line(stream, record.into()).await
    }

    /// Sends a record on as it came.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn pass_on(&mut self, stream: &str, record: &Record) -> Result<(), Failure> {
        check_object(stream, record.json())?;
        self.push(stream, record.json()).await
    }

    async fn send_line(&mut self, stream: &str, mut line: Vec<u8>) -> Result<(), Failure> {
        check_object(stream, &line)?;
        // Between tokens a line feed is space; in a string it would be no JSON.
        for byte in line.iter_mut().filter(|byte| **byte == b'\n') {
            *byte = b' ';
        }
        self.push(stream, &line).await
    }

    async fn push(&mut self, stream: &str, line: &[u8]) -> Result<(), Failure> {
        poll_fn(|context| {
            let progress = ready!(tokio::task::coop::poll_proceed(context));
            let sent = ready!(self.exchange.poll_send(stream, line, context));
            progress.made_progress();
            sent.into()
        })
        .await
    }

    /// Says how far the call got, after everything that was sent before: the next call finds it in
    /// [`Call::bookmark`](crate::Call::bookmark) if this one completes.
    ///
    /// # Errors
    /// A [`Failure`] of class cancelled if the host asked to stop.
    pub async fn bookmark(&mut self, bookmark: &Value) -> Result<(), Failure> {
        self.flush().await?;
        let message = v1::Bookmark {
            bookmark_json: bookmark.to_string(),
            below_seq: self.exchange.chunks_sent(),
        };
        self.answer(Some(Message::Bookmark(message))).await
    }

    /// Hands everything to the connection that was gathered until now.
    ///
    /// # Errors
    /// A [`Failure`] of class cancelled if the host asked to stop.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        self.answer(None).await
    }

    async fn answer(&mut self, mut message: Option<Message>) -> Result<(), Failure> {
        poll_fn(|context| self.exchange.poll_answer(&mut message, context)).await
    }

    /// A line for the log of the attempt. Without secrets. Lines are dropped where they come faster
    /// than the host takes them.
    pub fn log(&self, level: LogLevel, message: impl Into<String>) {
        self.exchange.log(v1::LogLine {
            level: v1::LogLevel::from(level).into(),
            message: message.into(),
            fields_json: String::new(),
        });
    }
}

fn check_object(stream: &str, line: &[u8]) -> Result<(), Failure> {
    if line.trim_ascii_start().first() == Some(&b'{') {
        return Ok(());
    }
    Err(Failure::data(format!("a record for data stream `{stream}` is no JSON object")))
}

/// How much a line of the log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For whoever looks for a mistake in the plugin.
    Debug,
    /// What happens.
    Info,
    /// Something that somebody should look at.
    Warn,
    /// Something that went wrong.
    Error,
}

impl From<LogLevel> for v1::LogLevel {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}
