//! A tap's standard output: a big buffer in front of a pipe.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use flexcore_singer::{SchemaMessage, State, StateMessage};

/// Written to the pipe once this much has gathered.
const FLUSH_AT: usize = 256 << 10;
/// What a pipe may hold, so that both of its ends can work at once. More than the system's default
/// of 64 KiB; an unprivileged process may ask for 1 MiB.
const PIPE_SIZE: usize = 1 << 20;

/// Messages on their way out.
#[derive(Debug)]
pub(crate) struct Output {
    /// Whole lines, and at its end the one that is being written.
    pub(crate) buffer: Vec<u8>,
    file: File,
}

impl Output {
    /// The process's standard output.
    pub(crate) fn standard() -> io::Result<Self> {
        let owned = io::stdout().as_fd().try_clone_to_owned()?;
        // Fails on what is no pipe; then there is nothing to enlarge.
        let _ = rustix::pipe::fcntl_setpipe_size(&owned, PIPE_SIZE);
        Ok(Self { buffer: Vec::with_capacity(FLUSH_AT + (64 << 10)), file: File::from(owned) })
    }

    /// Sends the buffer if it is big; to be called between lines.
    #[inline]
    pub(crate) fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    /// Sends the buffer.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let sent = self.file.write_all(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(2 * FLUSH_AT);
        sent
    }

    /// Adds a SCHEMA.
    pub(crate) fn schema(&mut self, message: &SchemaMessage<'_>) {
        message.write_line(&mut self.buffer);
    }

    /// Adds a STATE and sends everything: what waits behind it has news.
    pub(crate) fn state(&mut self, state: &State) -> io::Result<()> {
        StateMessage { value: &state.to_string() }.write_line(&mut self.buffer);
        self.flush()
    }
}
