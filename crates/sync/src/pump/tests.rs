use std::sync::Mutex;

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;

/// Gives out a text in pieces of given sizes, over and over.
struct Pieces<'a> {
    text: &'a [u8],
    sizes: Vec<usize>,
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.next += 1;
        if self.next.is_multiple_of(7) {
            return Err(ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.next % self.sizes.len()].min(self.text.len()).min(room.len());
        let (piece, rest) = self.text.split_at(size);
        room[..size].copy_from_slice(piece);
        self.text = rest;
        Ok(size)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    schemas: Vec<(String, Vec<u8>)>,
    rejected: Vec<(u64, Vec<u8>)>,
}

impl Listener for Heard {
    fn schema(&mut self, stream: &str, line: &[u8]) {
        self.schemas.push((stream.to_owned(), line.to_owned()));
    }

    fn rejected(&mut self, number: u64, line: &[u8]) {
        self.rejected.push((number, line.to_owned()));
    }
}

struct Passage {
    handed_over: Vec<u8>,
    heard: Heard,
    counts: Counts,
    result: Result<(), PumpError>,
}

fn pump(text: &[u8], max_line: usize, sizes: &[usize]) -> Passage {
    let counts = Mutex::default();
    let (mut handed_over, mut heard) = (Vec::new(), Heard::default());
    let mut source = Pieces { text, sizes: sizes.to_vec(), next: 0 };
    let result = Pump::new(&mut handed_over, max_line, &counts).run(&mut source, &mut heard);
    Passage { handed_over, heard, counts: counts.into_inner().unwrap(), result }
}

const ANY: usize = 1 << 20;

fn whole(text: &[u8]) -> Passage {
    pump(text, ANY, &[ANY])
}

fn record(stream: &str, value: &str) -> String {
    format!("{{\"type\":\"RECORD\",\"stream\":\"{stream}\",\"record\":{{\"a\":{value}}}}}\n")
}

#[test]
fn messages_pass_as_the_bytes_they_were() {
    let text = [
        "{\"type\": \"SCHEMA\", \"stream\": \"a\", \"schema\": {}, \"key_properties\": []}\r\n",
        &record("a", "NaN"),
        &record("a", "1e400"),
        "  {\"record\":{}, \"stream\":\"b\", \"type\":\"record\"}\n",
        "{\"type\":\"STATE\",\"value\":{\"a\":1}}\n",
        "{\"type\":\"ACTIVATE_VERSION\",\"stream\":\"a\",\"version\":1}\n",
        "{\"type\":\"BATCH\",\"stream\":\"a\",\"encoding\":{},\"manifest\":[]}\n",
        "{\"type\":\"OF_TOMORROW\"}\n",
    ]
    .concat();
    let passage = whole(text.as_bytes());
    passage.result.unwrap();
    assert_eq!(String::from_utf8(passage.handed_over).unwrap(), text);
    assert_eq!(passage.heard.rejected, []);
}

#[test]
fn records_and_their_bytes_are_counted_per_stream() {
    let (a, b) = (record("a", "1"), record("b", "\"é\""));
    let text = [&a, &a, &b, &a, "{\"type\":\"STATE\",\"value\":{}}\n", "junk\n"].concat();
    let passage = whole(text.as_bytes());
    passage.result.unwrap();
    let (a_bytes, b_bytes) = (3 * a.len(), b.len());
    let expected = json!({
        "records": 4,
        "bytes": a_bytes + b_bytes,
        "rejected": 1,
        "streams": {
            "a": { "records": 3, "bytes": a_bytes },
            "b": { "records": 1, "bytes": b_bytes },
        },
    });
    assert_eq!(passage.counts.to_output(), expected);
    let progress = passage.counts.progress();
    assert_eq!((progress.records, progress.streams.len()), (4, 2));
}

#[test]
fn what_is_no_message_is_cut_out_and_told_with_its_line_number() {
    let record = record("a", "1");
    let text = ["starting\n", &record, "\n", "[1]\n", "caf\u{e9}\n", &record, "done"].concat();
    let passage = whole(text.as_bytes());
    passage.result.unwrap();
    assert_eq!(passage.handed_over, [record.as_bytes(), record.as_bytes()].concat());
    let rejected: Vec<(u64, &str)> = passage
        .heard
        .rejected
        .iter()
        .map(|(number, line)| (*number, std::str::from_utf8(line).unwrap()))
        .collect();
    assert_eq!(rejected, [(1, "starting"), (4, "[1]"), (5, "café"), (7, "done")]);
}

#[test]
fn each_distinct_schema_is_told_once() {
    let first = "{\"type\":\"SCHEMA\",\"stream\":\"a\",\"schema\":{}}";
    let second = "{\"type\":\"SCHEMA\",\"stream\":\"a\",\"schema\":{\"x\":1}}";
    let text = [first, second, first, second, ""].join("\n");
    let heard = whole(text.as_bytes()).heard;
    let told = [first, second].map(|line| ("a".to_owned(), line.as_bytes().to_vec()));
    assert_eq!(heard.schemas, told);
}

#[test]
fn the_last_message_may_lack_its_newline() {
    let text = record("a", "{\"b\":[\"}\"]}");
    let passage = whole(text.trim_end().as_bytes());
    passage.result.unwrap();
    assert_eq!(passage.handed_over, text.as_bytes());
    assert_eq!(passage.counts.records(), 1);
}

#[test]
fn half_a_message_at_the_end_is_an_error_and_stays_behind() {
    let message = record("a", "1");
    let text = format!("{message}{}", &record("orders", "{\"b\":1}")[..46]);
    let passage = whole(text.as_bytes());
    let error = passage.result.unwrap_err().to_string();
    assert!(error.contains("the middle of line 2 (stream `orders`), after 46 bytes"), "{error}");
    assert_eq!(passage.handed_over, message.as_bytes());
    // A record inside of the cut one is closed, the message is not.
    let closed = "{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{\"x\":1}";
    assert!(matches!(whole(closed.as_bytes()).result, Err(PumpError::HalfLine { .. })));
}

#[test]
fn nothing_of_a_line_that_is_too_long_is_handed_over() {
    let fits = record("a", "1");
    let longer = record("orders", "22");
    let max_line = fits.len() - 1;
    for text in [format!("{fits}{longer}{fits}"), format!("{fits}{longer}")] {
        for sizes in [vec![ANY], vec![1], vec![5, 90]] {
            let passage = pump(text.as_bytes(), max_line, &sizes);
            assert_eq!(passage.handed_over, fits.as_bytes());
            let error = passage.result.unwrap_err().to_string();
            assert!(error.starts_with("line 2 of its output (stream `orders`)"), "{error}");
            assert!(error.contains(&format!("{max_line} may pass")), "{error}");
        }
    }
}

#[test]
fn a_line_as_long_as_the_limit_passes_whatever_its_size() {
    let text = record("a", &format!("\"{}\"", "x".repeat(5_000_000)));
    let twice = text.repeat(2);
    let passage = pump(twice.as_bytes(), text.len() - 1, &[70_000]);
    passage.result.unwrap();
    assert!(passage.handed_over == twice.as_bytes());
}

#[test]
fn a_message_that_is_not_utf_8_stops_the_pump_where_it_stands() {
    let sound = record("a", "1");
    let broken = b"{\"type\":\"RECORD\",\"stream\":\"b\",\"record\":{\"a\":\"\xff\"}}\n";
    let text = [b"junk\n", sound.as_bytes(), broken, sound.as_bytes()].concat();
    let passage = whole(&text);
    assert_eq!(passage.handed_over, sound.as_bytes());
    let error = passage.result.unwrap_err().to_string();
    assert!(
        error.starts_with("line 3 of its output (stream `b`) is not valid UTF-8 at byte 46"),
        "{error}"
    );
}

#[test]
fn a_sink_that_closes_is_told_from_one_that_fails() {
    struct Failing(ErrorKind);
    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let run = |kind| {
        let counts = Mutex::default();
        let text = record("a", "1");
        Pump::new(Failing(kind), ANY, &counts).run(&mut text.as_bytes(), &mut Heard::default())
    };
    assert!(matches!(run(ErrorKind::BrokenPipe), Err(PumpError::TargetClosed)));
    assert!(matches!(run(ErrorKind::StorageFull), Err(PumpError::Write(_))));
}

/// Lines as taps print them, sound and otherwise, none with a newline inside.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => ("[a-c]", "[a-zé \"\\\\]{0,40}").prop_map(|(stream, text)| {
            let text = serde_json::to_string(&text).unwrap();
            record(&stream, &text).trim_end().as_bytes().to_vec()
        }),
        1 => Just(b"{\"type\":\"STATE\",\"value\":{\"x\":NaN}}".to_vec()),
        1 => Just(b"{\"type\":\"SCHEMA\",\"stream\":\"a\",\"schema\":{}}".to_vec()),
        1 => "[ -z]{0,30}".prop_map(String::into_bytes),
        1 => vec(any::<u8>().prop_filter("no newline", |byte| *byte != b'\n'), 0..30)
            .prop_filter("no broken message", |line| std::str::from_utf8(line).is_ok() || glance(line).kind == Kind::NotJson),
    ]
}

proptest! {
    #[test]
    fn valid_lines_are_handed_over_byte_for_byte_for_any_chunking(
        lines in vec(line(), 0..40),
        sizes in vec(1_usize..200, 1..8),
    ) {
        let is_valid = |line: &&Vec<u8>| glance(line).kind != Kind::NotJson;
        let text: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        let valid: Vec<u8> = lines.iter().filter(is_valid).flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        let passage = pump(&text, ANY, &sizes);
        prop_assert!(passage.result.is_ok());
        prop_assert_eq!(passage.handed_over, valid);
        let blank = |line: &Vec<u8>| line.trim_ascii().is_empty();
        let rejected = lines.iter().filter(|line| !is_valid(line) && !blank(line)).count();
        prop_assert_eq!(passage.counts.rejected(), rejected as u64);
        prop_assert_eq!(passage.heard.rejected.len(), rejected);
    }

    #[test]
    fn no_bytes_make_the_pump_hand_over_part_of_a_line(
        text in vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(b'}'), Just(b'"'), any::<u8>()], 0..300),
        sizes in vec(1_usize..50, 1..4),
        max_line in 1_usize..60,
    ) {
        let passage = pump(&text, max_line, &sizes);
        let mut lines = text.split(|byte| *byte == b'\n');
        for handed in passage.handed_over.split_inclusive(|byte| *byte == b'\n') {
            let (newline, handed) = handed.split_last().unwrap();
            prop_assert_eq!(*newline, b'\n');
            prop_assert!(handed.len() <= max_line);
            prop_assert!(lines.any(|line| line == handed));
        }
    }
}
