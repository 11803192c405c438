//! Server-sent events, from bytes that come in any pieces
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

/// The longest line that is taken, in bytes: an event of the log is at most 1 MiB.
const MAX_LINE: usize = 4 << 20;

/// One message of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where to go on after it.
    pub(crate) id: Option<String>,
    /// What kind it is.
    pub(crate) event: Option<String>,
    /// What it says; one without is a sign of life that tells how far the stream came.
    pub(crate) data: Option<String>,
}

/// A stream that is longer in one line than any of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Puts messages together.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_return: bool,
    message: Message,
}

impl Parser {
    /// Takes the next bytes and gives back the messages that they end.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut done = Vec::new();
        for byte in bytes {
            // A line ends with CR, LF or both; which, shows only with the next byte.
            let was_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if was_return => {}
                b'\r' | b'\n' => done.extend(self.end_line()),
                _ if self.line.len() >= MAX_LINE => return Err(TooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(done)
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (message.data.is_some() || message.id.is_some()).then_some(message);
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.message.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "event" => self.message.event = Some(value.to_owned()),
            "id" if !value.contains('\0') => self.message.id = Some(value.to_owned()),
            // Comments, `retry`, and what is not known.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": hello\n\nid: 7\nevent: A\ndata: {\"x\":1}\n\ndata:one\r\ndata: two\r\n\r\nid: 9\nretry: 5\n\nevent: only\n\ndata\n\n";

    fn message(id: Option<&str>, event: Option<&str>, data: Option<&str>) -> Message {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Message { id: owned(id), event: owned(event), data: owned(data) }
    }

    fn expected() -> Vec<Message> {
        vec![
            message(Some("7"), Some("A"), Some("{\"x\":1}")),
            message(None, None, Some("one\ntwo")),
            message(Some("9"), None, None),
            message(None, None, Some("")),
        ]
    }

    #[test]
    fn messages_end_with_an_empty_line() {
        assert_eq!(Parser::default().feed(STREAM.as_bytes()), Ok(expected()));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let fed: Vec<_> = (0..5).map(|_| parser.feed(&piece)).collect();
        assert_eq!(fed.last(), Some(&Err(TooLong)));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut parser = Parser::default();
            let mut all = Vec::new();
            for pair in cuts.windows(2) {
                all.extend(parser.feed(&STREAM.as_bytes()[pair[0]..pair[1]]).unwrap());
            }
            prop_assert_eq!(all, expected());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Parser::default().feed(&bytes);
        }
    }
}
