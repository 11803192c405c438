//! Standard input, cut into lines, without missing a signal while it waits.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::stop::Stop;

/// Buffer for lines; grows for longer ones.
const BUFFER: usize = 256 << 10;
/// Longer lines are refused.
pub(crate) const MAX_LINE: usize = 1 << 30;
/// More in flight than the system's default of 64 KiB, so that both ends can work at once.
const PIPE_SIZE: usize = 1 << 20;

/// What came next.
pub(crate) enum Next {
    /// A line is ready in [`Input::line`].
    Line,
    /// The last line, which has no line end.
    TornLine,
    /// Nothing came for the time that was given.
    Idle,
    /// The end of the input.
    End,
    /// A signal asked to stop.
    Stopped,
    /// A line longer than [`MAX_LINE`].
    TooLong,
}

/// Reads lines from a file descriptor.
#[derive(Debug)]
pub(crate) struct Input {
    source: OwnedFd,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes from `start` that are known to hold no line end.
    searched: usize,
    line: std::ops::Range<usize>,
}

impl Input {
    /// The process's standard input.
    pub(crate) fn standard() -> io::Result<Self> {
        let source = io::stdin().as_fd().try_clone_to_owned()?;
        // Fails on what is no pipe; then there is nothing to enlarge.
        let _ = rustix::pipe::fcntl_setpipe_size(&source, PIPE_SIZE);
        Ok(Self::new(source))
    }

    pub(crate) fn new(source: OwnedFd) -> Self {
        Self { source, buffer: vec![0; BUFFER], start: 0, end: 0, searched: 0, line: 0..0 }
    }

    /// The line found last, without its line end.
    #[inline]
    pub(crate) fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Finds the next line. Waits `patience` for it, for ever without.
    #[inline]
    pub(crate) fn next(&mut self, stop: &Stop, patience: Option<Duration>) -> io::Result<Next> {
        loop {
            let unsearched = &self.buffer[self.start + self.searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let end = self.start + self.searched + at;
                self.line = self.start..end;
                self.start = end + 1;
                self.searched = 0;
                return Ok(Next::Line);
            }
            self.searched = self.end - self.start;
            match self.fill(stop, patience)? {
                Filled::More => {}
                Filled::Idle => return Ok(Next::Idle),
                Filled::Stopped => return Ok(Next::Stopped),
                Filled::TooLong => return Ok(Next::TooLong),
                Filled::End if self.searched == 0 => return Ok(Next::End),
                Filled::End => {
                    self.line = self.start..self.end;
                    self.start = self.end;
                    self.searched = 0;
                    return Ok(Next::TornLine);
                }
            }
        }
    }

    fn fill(&mut self, stop: &Stop, patience: Option<Duration>) -> io::Result<Filled> {
        self.make_room();
        if self.end == self.buffer.len() {
            return Ok(Filled::TooLong);
        }
        match self.wait(stop, patience)? {
            Filled::More => {}
            other => return Ok(other),
        }
        loop {
            match rustix::io::read(&self.source, &mut self.buffer[self.end..]) {
                Ok(0) => return Ok(Filled::End),
                Ok(length) => {
                    self.end += length;
                    return Ok(Filled::More);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Moves what is left to the front; grows for a long line, shrinks again after it.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() && self.end < MAX_LINE {
            self.buffer.resize(2 * self.end, 0);
        } else if self.end < BUFFER && self.buffer.len() > BUFFER {
            self.buffer.truncate(BUFFER);
            self.buffer.shrink_to_fit();
        }
    }

    fn wait(&self, stop: &Stop, patience: Option<Duration>) -> io::Result<Filled> {
        if stop.is_requested() {
            return Ok(Filled::Stopped);
        }
        let timeout = patience
            .map(|patience| Timespec::try_from(patience).map_err(io::Error::other))
            .transpose()?;
        let wake = stop.wake();
        let mut polled =
            [PollFd::new(&self.source, PollFlags::IN), PollFd::new(&wake, PollFlags::IN)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) => Ok(Filled::Idle),
            Ok(_) if !polled[1].revents().is_empty() => Ok(Filled::Stopped),
            Ok(_) => Ok(Filled::More),
            Err(Errno::INTR) if stop.is_requested() => Ok(Filled::Stopped),
            Err(Errno::INTR) => Ok(Filled::Idle),
            Err(error) => Err(error.into()),
        }
    }
}

enum Filled {
    More,
    Idle,
    Stopped,
    TooLong,
    End,
}
