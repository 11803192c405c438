//! Reading a log, also while it is written.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use flexcore_ports::LogLine;

use super::line;

/// How much is read at once, in bytes; more only for a line that is longer.
const READ_BYTES: u64 = 1024 * 1024;

/// Lines from `offset` on, and the offset after them: about [`READ_BYTES`] of them, so that a large
/// log is read in pieces, by asking until nothing comes. A half line at the end is left for the
/// next time. A file that is not there has no lines yet.
pub(super) fn read(path: &Path, offset: u64) -> io::Result<(Vec<LogLine>, u64)> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        file => file?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let bytes = read_lines(&mut file, READ_BYTES)?;
    Ok((line::decode_all(&bytes), offset + bytes.len() as u64))
}

/// Whole lines: about `piece` bytes of them, or one line that is longer.
pub(super) fn read_lines(file: &mut impl Read, mut piece: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let searched = bytes.len();
        if file.by_ref().take(piece).read_to_end(&mut bytes)? == 0 {
            return Ok(Vec::new());
        }
        if let Some(at) = bytes[searched..].iter().rposition(|byte| *byte == b'\n') {
            bytes.truncate(searched + at + 1);
            return Ok(bytes);
        }
        piece = piece.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_half_line_is_left() {
        for (text, lines) in
            [("", ""), ("a", ""), ("a\n", "a\n"), ("a\nb", "a\n"), ("a\nb\n", "a\nb\n")]
        {
            assert_eq!(read_lines(&mut text.as_bytes(), 99).unwrap(), lines.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn a_line_longer_than_a_piece_is_read_whole() {
        let text = "0123456789\nab\ncd\n";
        assert_eq!(read_lines(&mut text.as_bytes(), 3).unwrap(), b"0123456789\nab\ncd\n");
        assert_eq!(read_lines(&mut text.as_bytes(), 12).unwrap(), b"0123456789\n");
    }

    proptest! {
        #[test]
        fn pieces_make_the_whole(text in "[ab\n]{0,60}", piece in 1u64..9) {
            let mut read = Vec::new();
            loop {
                let lines = read_lines(&mut &text.as_bytes()[read.len()..], piece).unwrap();
                if lines.is_empty() {
                    break;
                }
                prop_assert_eq!(lines.last(), Some(&b'\n'));
                read.extend(lines);
            }
            let end = text.rfind('\n').map_or(0, |at| at + 1);
            prop_assert_eq!(read, &text.as_bytes()[..end]);
        }
    }
}
