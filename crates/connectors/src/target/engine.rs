//! Reads messages, hands them to the sink, and confirms STATEs once what precedes them is durable.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use flexcore_singer::{Message, MessageError};
use sha2::{Digest as _, Sha256};

use crate::{
    log,
    stop::Stop,
    target::{
        batch,
        error::{SinkError, TargetError},
        input::{Input, MAX_LINE, Next},
        sink::Sink,
    },
};

/// STATEs are confirmed at most this often, unless confirming is itself slow.
const INTERVAL: Duration = Duration::from_millis(500);
/// Confirming may take this share of the time: one part in this many.
const SHARE: u32 = 10;
/// When nothing more comes, a waiting STATE is confirmed after this time.
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs a target on standard input and output until the input ends or a signal comes.
///
/// On an error the output goes back to the last confirmed STATE, so that nothing is left that
/// would come twice.
pub(crate) fn run(mut sink: Box<dyn Sink>, stop: &Stop) -> Result<(), TargetError> {
    let mut input = Input::standard().map_err(TargetError::Input)?;
    let outcome = Engine { sink: &mut *sink, line: 0, confirmations: Confirmations::new() }
        .run(&mut input, stop);
    if outcome.is_err()
        && let Err(error) = sink.roll_back()
    {
        log::warn(format_args!("cannot take back what was not confirmed: {}", log::chain(&error)));
    }
    outcome
}

struct Engine<'a> {
    sink: &'a mut dyn Sink,
    line: u64,
    confirmations: Confirmations,
}

impl Engine<'_> {
    fn run(&mut self, input: &mut Input, stop: &Stop) -> Result<(), TargetError> {
        loop {
            let patience = self.confirmations.is_waiting().then_some(PATIENCE);
            let next = input.next(stop, patience).map_err(TargetError::Input)?;
            match next {
                Next::Line => self.take(input.line())?,
                Next::TornLine => self.take_torn(input.line())?,
                Next::Idle => self.confirm()?,
                Next::End => return self.finish(),
                Next::Stopped => {
                    log::info("stopping by a signal: confirming what has been received");
                    return self.finish();
                }
                Next::TooLong => {
                    let line = self.line + 1;
                    return Err(TargetError::LineTooLong { line, limit: MAX_LINE });
                }
            }
        }
    }

    #[inline]
    fn take(&mut self, line: &[u8]) -> Result<(), TargetError> {
        self.line += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let message = Message::parse(line)
            .map_err(|source| TargetError::Message { line: self.line, source })?;
        let (stream, outcome) = match &message {
            Message::Record(record) => (&record.stream, self.sink.record(record)),
            Message::State(state) => return self.state(state.value),
            Message::Schema(schema) => (&schema.stream, self.sink.schema(schema)),
            Message::ActivateVersion(activate) => {
                let outcome = self.sink.activate_version(&activate.stream, activate.version);
                (&activate.stream, outcome)
            }
            Message::Batch(message) => (&message.stream, batch::take(message, self.sink)),
            // Singer asks targets to pass over messages that they do not know.
            _ => return Ok(()),
        };
        outcome.map_err(|source| self.at(stream, source))
    }

    fn at(&self, stream: &str, source: SinkError) -> TargetError {
        TargetError::Record { line: self.line, stream: stream.to_owned(), source }
    }

    /// The last line of an input may lack its line end, but it may not be half a line.
    fn take_torn(&mut self, line: &[u8]) -> Result<(), TargetError> {
        self.take(line).map_err(|error| match error {
            TargetError::Message { line, source: source @ MessageError::Json(_) } => {
                TargetError::TornLine { line, source }
            }
            other => other,
        })
    }

    fn state(&mut self, value: &str) -> Result<(), TargetError> {
        self.confirmations.wait(value);
        if self.confirmations.is_due() { self.confirm() } else { Ok(()) }
    }

    fn confirm(&mut self) -> Result<(), TargetError> {
        match self.confirmations.take() {
            Some(confirmation) => confirmation.run(self.sink, &mut self.confirmations),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        self.confirm()?;
        // Records behind the last STATE, or of a tap that sends none.
        self.sink.checkpoint(None).map_err(TargetError::Checkpoint)
    }
}

/// The newest STATE that waits, and when to confirm it.
///
/// A confirmation costs disk flushes. Taps that send a STATE every few records must not pay one
/// for each, so only the newest is confirmed, and not too often.
struct Confirmations {
    waiting: Option<Vec<u8>>,
    last: Instant,
    interval: Duration,
}

struct Confirmation {
    /// The line to echo, with its line end.
    line: Vec<u8>,
}

impl Confirmations {
    fn new() -> Self {
        Self { waiting: None, last: Instant::now(), interval: INTERVAL }
    }

    fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    fn wait(&mut self, value: &str) {
        let line = self.waiting.get_or_insert_default();
        line.clear();
        line.extend_from_slice(value.as_bytes());
        line.push(b'\n');
    }

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    fn take(&mut self) -> Option<Confirmation> {
        self.waiting.take().map(|line| Confirmation { line })
    }
}

impl Confirmation {
    fn run(self, sink: &mut dyn Sink, times: &mut Confirmations) -> Result<(), TargetError> {
        let begin = Instant::now();
        let hash = hex::encode(Sha256::digest(&self.line[..self.line.len() - 1]));
        sink.checkpoint(Some(&hash)).map_err(TargetError::Checkpoint)?;
        let mut out = io::stdout().lock();
        out.write_all(&self.line).and_then(|()| out.flush()).map_err(TargetError::Output)?;
        times.last = Instant::now();
        times.interval = INTERVAL.max((times.last - begin) * SHARE);
        Ok(())
    }
}
