//! Lines of a pipe, read without blocking and bounded in length.

use std::{io, os::fd::OwnedFd};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
};

/// Lines of up to a limit; what is longer is cut there, so that no program can fill our memory.
pub(crate) struct LineReader {
    reader: BufReader<pipe::Receiver>,
    line: Vec<u8>,
    limit: usize,
}

/// A line without its newline.
pub(crate) struct Line<'a> {
    pub(crate) bytes: &'a [u8],
    /// How many of its bytes are beyond the limit and gone.
    pub(crate) cut: u64,
}

impl LineReader {
    /// Must be called in a runtime with I/O.
    pub(crate) fn new(pipe: OwnedFd, limit: usize) -> io::Result<Self> {
        let reader = BufReader::new(pipe::Receiver::from_owned_fd(pipe)?);
        Ok(Self { reader, line: Vec::new(), limit })
    }

    /// The next line; the last one may lack its newline. `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0;
        loop {
            let available = self.reader.fill_buf().await?;
            if available.is_empty() {
                return Ok((length > 0).then(|| self.line_of(length)));
            }
            let newline = memchr::memchr(b'\n', available);
            let part = &available[..newline.unwrap_or(available.len())];
            let room = self.limit - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            length += part.len();
            let used = part.len() + usize::from(newline.is_some());
            self.reader.consume(used);
            if newline.is_some() {
                return Ok(Some(self.line_of(length)));
            }
        }
    }

    fn line_of(&self, length: usize) -> Line<'_> {
        Line { bytes: &self.line, cut: (length - self.line.len()) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _};

    use super::*;

    async fn read(text: &[u8], limit: usize) -> Vec<(Vec<u8>, u64)> {
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        File::from(writing).write_all(text).unwrap();
        let mut reader = LineReader::new(reading, limit).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push((line.bytes.to_vec(), line.cut));
        }
        lines
    }

    #[tokio::test]
    async fn lines_come_whole_and_the_last_needs_no_newline() {
        let lines = read(b"a\n\nb\xff\nc", 100).await;
        let expected: [&[u8]; 4] = [b"a", b"", b"b\xff", b"c"];
        assert_eq!(lines, expected.map(|line| (line.to_vec(), 0)));
        assert_eq!(read(b"", 100).await, []);
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_is_not() {
        let text = [vec![b'x'; 30_000], b"\nshort\n".to_vec()].concat();
        let lines = read(&text, 10).await;
        assert_eq!(lines, [(vec![b'x'; 10], 29_990), (b"short".to_vec(), 0)]);
    }
}
