//! What a program prints, as lines of bounded length.

use std::{collections::VecDeque, io, os::fd::OwnedFd};

use tokio::{io::AsyncReadExt as _, net::unix::pipe};

/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// Reads a program's output to its end and hands over each line without its line break. Bytes that
/// are not UTF-8 become `U+FFFD`. Of a line longer than `max_line` bytes only so many are kept, with
/// a note of how many there were; memory stays bounded whatever the program prints.
///
/// # Errors
/// What the system says when the pipe cannot be read; lines before that have been handed over.
pub async fn read_lines(
    output: OwnedFd,
    max_line: usize,
    mut on_line: impl FnMut(&str),
) -> io::Result<()> {
    let mut receiver = pipe::Receiver::from_owned_fd(output)?;
    let mut chunk = vec![0; CHUNK];
    let mut lines = BoundedLines::new(max_line);
    loop {
        let length = receiver.read(&mut chunk).await?;
        if length == 0 {
            lines.finish(&mut on_line);
            return Ok(());
        }
        lines.feed(&chunk[..length], &mut on_line);
    }
}

/// The last lines of an output, for an error that shows how a program ended.
#[derive(Debug, Clone, Default)]
pub struct LastLines(VecDeque<String>);

impl LastLines {
    /// How many lines are kept.
    pub const COUNT: usize = 20;
    /// How many bytes are kept of a line: an error is stored, and what is stored has its limits.
    pub const MAX_LINE: usize = 2 * 1024;

    /// Adds a line and forgets the oldest if there are too many.
    pub fn push(&mut self, line: &str) {
        if self.0.len() == Self::COUNT {
            self.0.pop_front();
        }
        let kept = &line[..line.floor_char_boundary(Self::MAX_LINE)];
        let cut = if kept.len() < line.len() { "…" } else { "" };
        self.0.push_back(format!("{kept}{cut}"));
    }

    /// The lines, oldest first.
    pub fn into_lines(self) -> Vec<String> {
        self.0.into()
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
struct BoundedLines {
    max_line: usize,
    /// The beginning of the line that is not complete yet.
    kept: Vec<u8>,
    /// How long that line is so far.
    length: usize,
}

impl BoundedLines {
    const fn new(max_line: usize) -> Self {
        Self { max_line, kept: Vec::new(), length: 0 }
    }

    fn feed(&mut self, chunk: &[u8], on_line: &mut impl FnMut(&str)) {
        for piece in chunk.split_inclusive(|&byte| byte == b'\n') {
            let (content, ends) = match piece.split_last() {
                Some((b'\n', content)) => (content, true),
                _ => (piece, false),
            };
            let room = self.max_line.saturating_sub(self.kept.len()).min(content.len());
            self.kept.extend_from_slice(&content[..room]);
            self.length += content.len();
            if ends {
                self.emit(on_line);
            }
        }
    }

    /// The last line need not end with a line break.
    fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        if self.length > 0 {
            self.emit(on_line);
        }
    }

    fn emit(&mut self, on_line: &mut impl FnMut(&str)) {
        let cut = self.length > self.kept.len();
        let content = self.kept.strip_suffix(b"\r").filter(|_| !cut).unwrap_or(&self.kept);
        let text = String::from_utf8_lossy(content);
        if cut {
            on_line(&format!("{text}… [cut: the line has {} bytes]", self.length));
        } else {
            on_line(&text);
        }
        self.kept.clear();
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn lines_of(chunks: &[&[u8]], max_line: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = BoundedLines::new(max_line);
        for chunk in chunks {
            lines.feed(chunk, &mut |line| found.push(line.to_owned()));
        }
        lines.finish(&mut |line| found.push(line.to_owned()));
        found
    }

    #[test]
    fn lines_may_be_split_anywhere_and_the_last_needs_no_break() {
        assert_eq!(lines_of(&[b"a", b"b\n\nc\r\n", b"d"], 100), ["ab", "", "c", "d"]);
        assert_eq!(lines_of(&[b"a\n"], 100), ["a"]);
        assert!(lines_of(&[], 100).is_empty());
    }

    #[test]
    fn a_long_line_is_cut_and_says_so_and_the_next_is_whole() {
        assert_eq!(
            lines_of(&[b"0123", b"456789", b"\nnext\n"], 5),
            ["01234… [cut: the line has 10 bytes]", "next"]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(lines_of(&[b"caf\xe9\n"], 100), ["caf\u{fffd}"]);
    }

    #[test]
    fn the_last_lines_are_kept_and_cut_between_characters() {
        let mut last = LastLines::default();
        (0..30).for_each(|number| last.push(&number.to_string()));
        last.push(&"é".repeat(LastLines::MAX_LINE));
        let lines = last.into_lines();
        assert_eq!(lines.len(), LastLines::COUNT);
        assert_eq!(lines[0], "11");
        assert_eq!(lines[19], format!("{}…", "é".repeat(LastLines::MAX_LINE / 2)));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(bytes in vec(any::<u8>(), 0..300), size in 1_usize..20, max in 0_usize..40) {
            let whole = lines_of(&[&bytes], max);
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(lines_of(&chunks, max), whole);
        }
    }
}
