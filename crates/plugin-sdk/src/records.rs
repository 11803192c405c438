//! The records that come in.

use std::{future::poll_fn, sync::Arc, task::ready};

use bytes::Bytes;

use crate::{
    Failure, Record,
    exchange::{Exchange, InputChunk},
};

/// The records of a call, in their order.
#[derive(Debug)]
pub struct Records {
    exchange: Arc<Exchange>,
    /// The chunk that is being read, and how long it was.
    chunk: Option<(InputChunk, u64)>,
    taken: u64,
}

impl Records {
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange, chunk: None, taken: 0 }
    }

    /// The next record; `None` when there are no more. The host sends more only as records are
    /// taken.
    ///
    /// # Errors
    /// A [`Failure`] of class cancelled if the host asked to stop.
    pub async fn next(&mut self) -> Result<Option<Record>, Failure> {
        poll_fn(|context| {
            // Gives way now and then, so that the host is heard while records are plenty.
            let progress = ready!(tokio::task::coop::poll_proceed(context));
            loop {
                if let Some((chunk, _)) = &mut self.chunk
                    && let Some(line) = take_line(&mut chunk.lines)
                {
                    self.taken += 1;
                    progress.made_progress();
                    let stream = Arc::clone(&chunk.stream);
                    return Ok(Some(Record::new(stream, self.taken, line))).into();
                }
                let used = self.chunk.take().map(|(_, bytes)| bytes);
                let next = ready!(self.exchange.poll_chunk(used, context))?;
                let Some(next) = next else {
                    progress.made_progress();
                    return Ok(None).into();
                };
                let bytes = next.lines.len() as u64;
                self.chunk = Some((next, bytes));
            }
        })
        .await
    }

    /// How many records were taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}

/// Cuts the first line off; every line has an end.
fn take_line(lines: &mut Bytes) -> Option<Bytes> {
    let end = memchr::memchr(b'\n', lines)?;
    let mut line = lines.split_to(end + 1);
    line.truncate(end);
    Some(line)
}
